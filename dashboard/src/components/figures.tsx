// A model's figures, set by set: on which rows, or of which model.
import { useTranslation } from 'react-i18next';
import type { Metrics } from '../api/types';
import { useFigureName } from '../chart/plot';
import { figure } from '../format';

/** A space that no line ends at: a figure stays beside its name. */
const NO_BREAK = '\u00a0';

export function Figures({ sets }: { sets: readonly (readonly [name: string, metrics: Metrics])[] }) {
  const { i18n } = useTranslation();
  const figureName = useFigureName();
  return sets.map(([name, metrics]) => (
    <span key={name}>
      <span className="muted">{name}</span>{' '}
      {Object.entries(metrics).map(([metric, value]) => `${figureName(metric)} ${figure(value, i18n.language)}`.replaceAll(' ', NO_BREAK)).join(' · ')}
    </span>
  ));
}
