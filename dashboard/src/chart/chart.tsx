// Lines over rounds, time or bytes, on a canvas.
import { useEffect, useRef } from 'react';
import { coloursAt } from './colours';
import { init, type ECharts } from './echarts';
import { option, type Drawing } from './option';

/** `label` says in words what is drawn. */
export function Chart({ label, series, x, format, zoom }: Drawing & { label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<ECharts>(undefined);

  useEffect(() => {
    if (!box.current) return;
    const made = init(box.current, null, { renderer: 'canvas' });
    chart.current = made;
    const watcher = new ResizeObserver(() => made.resize());
    watcher.observe(box.current);
    return () => {
      watcher.disconnect();
      made.dispose();
      chart.current = undefined;
    };
  }, []);

  useEffect(() => {
    const draw = () => {
      // What is zoomed to stays when lines come and go.
      if (chart.current && box.current) chart.current.setOption(option({ series, x, format, zoom }, coloursAt(box.current)), { replaceMerge: ['series'] });
    };
    draw();
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', draw);
    window.addEventListener('dure-theme', draw);
    return () => {
      dark.removeEventListener('change', draw);
      window.removeEventListener('dure-theme', draw);
    };
  }, [series, x, format, zoom]);

  const points = Math.max(0, ...series.map((one) => ('points' in one ? one.points.length : 0)));
  return <div className={zoom ? 'chart tall' : 'chart'} role="img" aria-label={label} ref={box} data-points={points} data-series={series.length} />;
}
