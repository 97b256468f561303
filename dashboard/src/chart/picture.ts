// A chart as a picture to take along: with a title, and with the names of its lines, for there is no page around it.
import { coloursAt } from './colours';
import { init } from './echarts';
import { option, plainName, type Drawing } from './option';
import type { Series } from './series';

const WIDTH = 960;
const PLOT = 420;
const NAME = 22;

export function picture(title: string, drawing: Drawing, place: HTMLElement): Blob {
  const colours = coloursAt(place);
  const height = PLOT + NAME * drawing.series.length;
  const chart = init(document.createElement('div'), null, { renderer: 'canvas', width: WIDTH, height, devicePixelRatio: 2 });
  const plain = option({ ...drawing, zoom: false }, colours);
  const text = { color: colours('--text'), fontFamily: plain.xAxis.nameTextStyle.fontFamily };
  chart.setOption({
    ...plain,
    grid: { ...plain.grid, left: 20, right: 28, top: 52, bottom: 46 + NAME * drawing.series.length },
    title: { text: title, left: 20, top: 14, textStyle: { ...text, fontSize: 15 } },
    legend: { data: drawing.series.map(named), orient: 'vertical', left: 20, bottom: 8, itemWidth: 34, itemHeight: 9, itemGap: NAME - 14, textStyle: { ...text, fontSize: 12, lineHeight: 14 }, height: NAME * drawing.series.length + NAME },
  });
  const url = chart.getDataURL({ type: 'png', pixelRatio: 2, backgroundColor: colours('--panel') });
  chart.dispose();
  return fromDataUrl(url);
}

/** A name beside a piece of its line: without a mark if the line has none, and as pale as a band is. */
function named(series: Series) {
  const opacity = 'band' in series ? 0.3 : series.look.mark === 'none' ? 0 : 1;
  return { name: plainName(series.name), itemStyle: { opacity } };
}

/** The policy lets nothing be fetched from a `data:` address, so it is read by hand. */
function fromDataUrl(url: string): Blob {
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(',') + 1)), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type: 'image/png' });
}
