// A curve over rounds, on a canvas.
import { useEffect, useRef, type RefObject } from 'react';
import { init, type ECharts } from './echarts';

export interface ChartProps {
  /** What is drawn, in words. */
  label: string;
  data: readonly [number, number][];
  /** Of the horizontal axis. */
  xName: string;
  format: (value: number) => string;
  zoom?: boolean;
  /** Where the chart is put, for who saves its picture. */
  chartRef: RefObject<ECharts | undefined>;
}

export function Chart({ label, data, xName, format, zoom = false, chartRef }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!box.current) return;
    const made = init(box.current, null, { renderer: 'canvas' });
    chartRef.current = made;
    const watcher = new ResizeObserver(() => made.resize());
    watcher.observe(box.current);
    return () => {
      watcher.disconnect();
      made.dispose();
      chartRef.current = undefined;
    };
  }, [chartRef]);

  useEffect(() => {
    const draw = () => {
      if (chartRef.current && box.current) chartRef.current.setOption(option({ data, xName, format, zoom }, colours(box.current)));
    };
    draw();
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', draw);
    window.addEventListener('dure-theme', draw);
    return () => {
      dark.removeEventListener('change', draw);
      window.removeEventListener('dure-theme', draw);
    };
  }, [data, xName, format, zoom, chartRef]);

  return <div className={zoom ? 'chart tall' : 'chart'} role="img" aria-label={label} ref={box} data-points={data.length} />;
}

interface Colours {
  line: string;
  text: string;
  rule: string;
  ground: string;
}

/** The sheet's colours, as they are where the chart stands. */
function colours(box: HTMLElement): Colours {
  const probe = document.createElement('span');
  box.append(probe);
  const colour = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { line: colour('--accent'), text: colour('--muted'), rule: colour('--rule'), ground: colour('--panel') };
  probe.remove();
  return found;
}

function option({ data, xName, format, zoom }: Pick<ChartProps, 'data' | 'xName' | 'format' | 'zoom'>, colours: Colours) {
  const font = { color: colours.text, fontFamily: 'system-ui, sans-serif', fontSize: 11 };
  const values = data.map(([, value]) => value);
  return {
    animation: false,
    grid: { left: 8, right: 16, top: 14, bottom: zoom ? 62 : 26, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    xAxis: {
      type: 'value', minInterval: 1, min: 'dataMin', max: 'dataMax', name: xName, nameLocation: 'middle', nameGap: 26, nameTextStyle: font,
      axisLabel: { ...font, hideOverlap: true }, splitLine: { show: false }, axisLine: { lineStyle: { color: colours.rule } }, axisTick: { show: false },
    },
    yAxis: {
      type: 'value', scale: true, axisLine: { show: false }, axisTick: { show: false }, axisLabel: { ...font, formatter: (value: number) => format(value), hideOverlap: true }, splitLine: { lineStyle: { color: colours.rule } },
      ...(values.length === 0 ? { min: 0, max: 1 } : {}),
    },
    tooltip: {
      trigger: 'axis', renderMode: 'richText', backgroundColor: colours.ground, borderColor: colours.rule, textStyle: { ...font, fontSize: 12 },
      axisPointer: { lineStyle: { color: colours.text } },
      formatter: (points: { data?: [number, number] }[]) => {
        const [round, value] = points[0]?.data ?? [];
        return round === undefined || value === undefined ? '' : `${xName} ${round}   ${format(value)}`;
      },
    },
    dataZoom: zoom
      ? [
          { type: 'inside', filterMode: 'none' },
          { type: 'slider', height: 18, bottom: 8, filterMode: 'none', borderColor: colours.rule, fillerColor: 'rgba(128,128,128,0.15)', textStyle: font, brushSelect: false,
            dataBackground: { lineStyle: { color: colours.rule }, areaStyle: { color: colours.rule } } },
        ]
      : [],
    series: [
      { type: 'line', data: [...data], showSymbol: data.length <= 40, symbolSize: 5, lineStyle: { width: 2 }, color: colours.line, sampling: 'lttb' },
    ],
  };
}
