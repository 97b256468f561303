// A chart as ECharts is told of it.
import type { Colours } from './colours';
import { last, MAIN, reach, type Series } from './series';

export interface Axis {
  name: string;
  format: (value: number) => string;
  /** Whether there is nothing between two whole numbers. */
  whole?: boolean;
}

export interface Drawing {
  series: readonly Series[];
  x: Axis;
  /** How a value is written. */
  format: (value: number) => string;
  zoom: boolean;
}

/** Up to so many values each is marked. */
const MARKED = 40;

export function option({ series, x, format, zoom }: Drawing, colours: Colours) {
  const font = { color: colours('--muted'), fontFamily: 'system-ui, sans-serif', fontSize: 11 };
  const rule = colours('--rule');
  const sides = reach(series) ?? [0, 1];
  return {
    animation: false,
    grid: { left: 8, right: 16, top: 14, bottom: zoom ? 62 : 26, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    xAxis: {
      type: 'value', min: sides[0], max: sides[1], name: x.name, nameLocation: 'middle', nameGap: 26, nameTextStyle: font,
      axisLabel: { ...font, hideOverlap: true, formatter: x.format }, splitLine: { show: false }, axisLine: { lineStyle: { color: rule } }, axisTick: { show: false },
      ...(x.whole === true ? { minInterval: 1 } : {}),
    },
    yAxis: {
      type: 'value', scale: true, axisLine: { show: false }, axisTick: { show: false }, axisLabel: { ...font, formatter: format, hideOverlap: true }, splitLine: { lineStyle: { color: rule } },
      ...(series.some((one) => last(one).length > 0) ? {} : { min: 0, max: 1 }),
    },
    tooltip: {
      trigger: 'axis', renderMode: 'richText', confine: true, backgroundColor: colours('--panel'), borderColor: rule, textStyle: { ...font, fontSize: 12 },
      axisPointer: { lineStyle: { color: colours('--muted') } },
      formatter: (hits: Hit[]) => tip(hits, series, x, format),
    },
    dataZoom: zoom
      ? [
          { type: 'inside', filterMode: 'none' },
          { type: 'slider', height: 18, bottom: 8, filterMode: 'none', borderColor: rule, fillerColor: 'rgba(128,128,128,0.15)', textStyle: font, brushSelect: false, showDetail: false,
            dataBackground: { lineStyle: { color: rule }, areaStyle: { color: rule } } },
        ]
      : [],
    series: series.map((one) => ('band' in one ? area(one, colours) : line(one, sides, colours))),
  };
}

/** Under which the pointer is, of one series. */
interface Hit {
  seriesId?: string;
  marker?: unknown;
  data?: readonly number[];
}

/** What the pointer shows: the place, and there each series' value. */
function tip(hits: Hit[], series: readonly Series[], x: Axis, format: Drawing['format']): string {
  const place = hits[0]?.data?.[0];
  if (place === undefined) return '';
  const lines = hits.flatMap(({ seriesId, marker, data }) => {
    const one = series.find(({ id }) => id === seriesId);
    if (one === undefined || data === undefined) return [];
    const values = data.slice(1).map(format).join(' – ');
    return [series.length === 1 ? values : `${typeof marker === 'string' ? marker : ''}${plainName(one.name)}   ${values}`];
  });
  return [`${x.name} ${x.format(place)}`, ...lines].join('\n');
}

/** A name in which ECharts finds no markup of its own. */
export function plainName(name: string): string {
  return name.replaceAll(/[{}|]/g, ' ');
}

function line(series: Exclude<Series, { band: unknown }>, sides: readonly [number, number], colours: Colours) {
  const { id, name, look } = series;
  const data = 'points' in series ? [...series.points] : sides.map((x) => [x, series.level]);
  const color = colours(look.colour);
  return {
    id, name: plainName(name), type: 'line', data, color, symbol: look.mark, symbolSize: 6, z: look === MAIN ? 3 : 2, showSymbol: data.length <= MARKED || look.width === 0, sampling: 'lttb',
    lineStyle: { width: look.width, type: look.dash.length === 0 ? 'solid' : [...look.dash] }, emphasis: { disabled: true },
  };
}

/** A band is one polygon, whichever sign its values have. */
function area(series: Extract<Series, { band: unknown }>, colours: Colours) {
  const { id, name, look, band } = series;
  const color = colours(look.colour);
  const spots = [...band.map(([x, , high]) => [x, high] as const), ...band.map(([x, low]) => [x, low] as const).reverse()];
  return {
    id, name: plainName(name), type: 'custom', data: band.map((value) => [...value]), encode: { x: 0, y: [1, 2] }, color, clip: true, silent: true, z: 1,
    renderItem: ({ dataIndex }: { dataIndex: number }, { coord }: { coord: (spot: number[]) => number[] }) =>
      dataIndex > 0 ? undefined : { type: 'polygon', shape: { points: spots.map((spot) => coord([...spot])) }, style: { fill: color, opacity: 0.18 } },
  };
}
