// A chart with what belongs to it: which figure, the names of its lines, and what of it can be taken along.
import { useCallback, useMemo, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Button, Select } from '../components/controls';
import { Icon } from '../components/icon';
import { count, figure as written } from '../format';
import { save } from '../save';
import { Chart } from './chart';
import { LOSS } from './curve';
import { Legend } from './legend';
import type { Axis } from './option';
import { picture } from './picture';
import { last, type Series } from './series';

/** How a figure is called: as it is in every table, and the loss in words. */
export function useFigureName(): (figure: string) => string {
  const { t } = useTranslation();
  return (figure) => t(`figure.${figure as 'mae'}`, { defaultValue: figure });
}

/** The figure that is looked at: the one that was chosen, or else the first that is no loss. */
export function useFigure(names: readonly string[]): [string, (figure: string) => void] {
  const [chosen, choose] = useState<string>();
  return [chosen !== undefined && names.includes(chosen) ? chosen : (names.find((name) => name !== LOSS) ?? LOSS), choose];
}

/** The horizontal axis of rounds. */
export function useRounds(): Axis {
  const { t, i18n } = useTranslation();
  return useMemo(() => ({ name: t('curves.round'), format: (round) => count(round, i18n.language), whole: true }), [t, i18n.language]);
}

interface Props {
  figures: readonly string[];
  figure: string;
  onFigure: (figure: string) => void;
  series: readonly Series[];
  x: Axis;
  /** Other things to choose, beside the figure. */
  children?: ReactNode;
  /** With it the chart can be zoomed and saved: the beginning of files' names, and the text of a table. */
  files?: { name: string; table: () => string };
  onRemove?: (id: string) => (() => void) | undefined;
}

export function Plot({ figures, figure, onFigure, series, x, children, files, onRemove }: Props) {
  const { t, i18n } = useTranslation();
  const name = useFigureName();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const box = useRef<HTMLDivElement>(null);
  const format = useCallback((value: number) => written(value, i18n.language), [i18n.language]);
  const shown = useMemo(() => series.filter(({ id }) => !hidden.has(id)), [series, hidden]);
  const toggle = (id: string) => setHidden((before) => (before.has(id) ? new Set([...before].filter((other) => other !== id)) : new Set([...before, id])));
  const lines = shown.map((one) => t('curves.line', { name: one.name, value: last(one).map(format).join(' – ') || '–' })).join('; ');
  const label = t('curves.label', { figure: name(figure), x: x.name, lines });
  const only = series.length === 1 ? series.flatMap(last).map(format) : [];
  const savePicture = () => {
    if (box.current) save(`${files?.name ?? ''}-${figure}.png`, picture(name(figure), { series: shown, x, format, zoom: false }, box.current));
  };
  return (
    <div className="plot" ref={box}>
      <div className="chart-head">
        <Select label={t('curves.figure')} value={figure} options={figures.map((id) => ({ id, label: name(id) }))} onChange={onFigure} />
        {only.length > 0 && <strong className="last-figure">{only}</strong>}
        {children}
        {files !== undefined && (
          <span className="chart-actions">
            <Button look="quiet" onPress={savePicture}>
              <Icon name="download" />
              PNG
            </Button>
            <Button look="quiet" onPress={() => save(`${files.name}.csv`, new Blob([files.table()], { type: 'text/csv' }))}>
              <Icon name="download" />
              CSV
            </Button>
          </span>
        )}
      </div>
      <Chart label={label} series={shown} x={x} format={format} zoom={files !== undefined} />
      {series.length > 1 && <Legend series={series} hidden={hidden} onToggle={toggle} format={format} {...(onRemove === undefined ? {} : { onRemove })} />}
    </div>
  );
}
