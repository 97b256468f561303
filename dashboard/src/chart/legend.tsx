// The names of a chart's lines, with their last values. Each is a switch that hides its line or shows it.
import { ToggleButton } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { Button } from '../components/controls';
import { Icon } from '../components/icon';
import { last, type Look, type Series } from './series';

interface Props {
  series: readonly Series[];
  hidden: ReadonlySet<string>;
  onToggle: (id: string) => void;
  format: (value: number) => string;
  /** Of those that can be taken out altogether. */
  onRemove?: (id: string) => (() => void) | undefined;
}

export function Legend({ series, hidden, onToggle, format, onRemove }: Props) {
  const { t } = useTranslation();
  return (
    <ul className="legend" aria-label={t('curves.legend')}>
      {series.map((one) => {
        const remove = onRemove?.(one.id);
        return (
          <li key={one.id} data-line-of={one.id}>
            <ToggleButton className="legend-item" isSelected={!hidden.has(one.id)} onChange={() => onToggle(one.id)}>
              <Sample series={one} />
              <span>{one.name}</span>
              <span className="muted">{last(one).map(format).join(' – ') || '–'}</span>
            </ToggleButton>
            {remove !== undefined && (
              <Button look="quiet" className="legend-remove" aria-label={t('curves.remove', { name: one.name })} onPress={remove}>
                <Icon name="cross" />
              </Button>
            )}
          </li>
        );
      })}
    </ul>
  );
}

const MARKS: Record<Look['mark'], string> = {
  circle: 'M17 5a3 3 0 1 1-6 0a3 3 0 1 1 6 0z',
  rect: 'M11 2h6v6h-6z',
  triangle: 'M14 1.5l3.5 6.5h-7z',
  diamond: 'M14 1l4 4l-4 4l-4-4z',
  none: '',
};

/** A piece of the line, as it is drawn. */
function Sample({ series }: { series: Series }) {
  const { colour, dash, mark, width } = series.look;
  return (
    <svg className={`sample ${colour.slice(2)}`} viewBox="0 0 28 10" aria-hidden="true" focusable="false">
      {'band' in series ? <rect width="28" height="10" rx="2" opacity="0.3" /> : <path d="M0 5h28" fill="none" stroke="currentColor" strokeWidth={width} strokeDasharray={dash.join(' ')} />}
      <path d={MARKS[mark]} />
    </svg>
  );
}
