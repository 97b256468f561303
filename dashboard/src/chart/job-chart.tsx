// A job's curves: one figure at a time, to look at closer and to take along.
import { useCallback, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button, Select } from '../components/controls';
import { Icon } from '../components/icon';
import { csv, figure as written } from '../format';
import type { Point } from '../journal/fold';
import { save } from '../save';
import { Chart } from './chart';
import { curve, figures, LOSS, table } from './curve';
import type { ECharts } from './echarts';

/** How a figure is called: as it is in every table, and the loss in words. */
export function useFigureName(): (figure: string) => string {
  const { t } = useTranslation();
  return (figure) => t(`figure.${figure as 'mae'}`, { defaultValue: figure });
}

/** With `large` it can be zoomed and saved. */
export function JobChart({ points, job, large = false }: { points: readonly Point[]; job: number; large?: boolean }) {
  const { t, i18n } = useTranslation();
  const name = useFigureName();
  const [chosen, setChosen] = useState<string>();
  const chartRef = useRef<ECharts>(undefined);
  const names = useMemo(() => figures(points), [points]);
  const shown = chosen !== undefined && names.includes(chosen) ? chosen : (names[1] ?? LOSS);
  const data = useMemo(() => curve(points, shown), [points, shown]);
  const format = useCallback((value: number) => written(value, i18n.language), [i18n.language]);
  const last = data.at(-1);
  const label = last === undefined ? t('curves.nothing', { figure: name(shown) }) : t('curves.label', { figure: name(shown), count: data.length, round: last[0], value: format(last[1]) });
  const savePicture = () => {
    const ground = getComputedStyle(document.body).backgroundColor;
    const url = chartRef.current?.getDataURL({ type: 'png', pixelRatio: 2, backgroundColor: ground, excludeComponents: ['dataZoom'] });
    if (url !== undefined) save(`job-${job}-${shown}.png`, fromDataUrl(url));
  };
  return (
    <div className="job-chart">
      <div className="chart-head">
        <Select label={t('curves.figure')} value={shown} options={names.map((id) => ({ id, label: name(id) }))} onChange={setChosen} />
        {last !== undefined && <strong className="last-figure">{format(last[1])}</strong>}
        {large && (
          <span className="chart-actions">
            <Button look="quiet" onPress={savePicture}>
              <Icon name="download" />
              PNG
            </Button>
            <Button look="quiet" onPress={() => save(`job-${job}-rounds.csv`, new Blob([csv(table(points))], { type: 'text/csv' }))}>
              <Icon name="download" />
              CSV
            </Button>
          </span>
        )}
      </div>
      <Chart label={label} data={data} xName={t('curves.round')} format={format} zoom={large} chartRef={chartRef} />
    </div>
  );
}

/** The policy lets nothing be fetched from a `data:` address, so it is read by hand. */
function fromDataUrl(url: string): Blob {
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(',') + 1)), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type: 'image/png' });
}
