// A figure over the last minutes, as it comes: small, and with its value now.
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { current, SPAN_MS, top, type Point } from '../meter';

interface Props {
  label: string;
  points: readonly Point[];
  format: (value: number) => string;
  /** What the axis reaches at least. */
  least: number;
  under?: ReactNode;
}

const [WIDTH, HEIGHT] = [300, 72];
const MINUTE_MS = 60_000;

export function LiveChart({ label, points, format, least, under }: Props) {
  const { t, i18n } = useTranslation();
  const value = current(points);
  const now = value === undefined ? '–' : format(value);
  const [first, last] = [points[0]?.at ?? 0, points.at(-1)?.at ?? 0];
  // Whole minutes, and one at least.
  const minutes = Math.max(1, Math.ceil(Math.min(SPAN_MS, last - first) / MINUTE_MS));
  const span = minutes * MINUTE_MS;
  const since = new Intl.NumberFormat(i18n.language, { style: 'unit', unit: 'minute', unitDisplay: 'short' }).format(minutes);
  const most = top(points, least);
  const drawn = pieces(points).map((piece) => piece.map(({ at, value }) => ({ x: WIDTH * (1 - (last - at) / span), y: HEIGHT * (1 - value / most) })));
  return (
    <figure className="meter">
      <figcaption>
        <span>{label}</span>
        <strong>{now}</strong>
        <small>{under}</small>
      </figcaption>
      <div className="meter-plot">
        <span className="meter-top">{format(most)}</span>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={t('system.chart', { figure: label, value: now, top: format(most) })} data-points={points.length}>
          <path className="meter-grid" d={`M0 .5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}`} />
          <path className="meter-area" d={drawn.map((piece) => `${line(piece)}L${x(piece.at(-1))} ${HEIGHT}L${x(piece[0])} ${HEIGHT}Z`).join('')} />
          <path className="meter-line" d={drawn.map(line).join('')} />
        </svg>
        <span className="meter-since">{t('system.ago', { time: since })}</span>
        <span className="meter-now">{t('system.now')}</span>
      </div>
    </figure>
  );
}

interface Place {
  x: number;
  y: number;
}

/** What is drawn without a break: a hole ends one. */
function pieces(points: readonly Point[]): { at: number; value: number }[][] {
  const pieces: { at: number; value: number }[][] = [[]];
  for (const { at, value } of points) {
    if (value === undefined) pieces.push([]);
    else pieces.at(-1)?.push({ at, value });
  }
  return pieces.filter((piece) => piece.length > 0);
}

const x = (place: Place | undefined) => (place?.x ?? 0).toFixed(1);

function line(places: readonly Place[]): string {
  return places.map((place, i) => `${i === 0 ? 'M' : 'L'}${x(place)} ${place.y.toFixed(1)}`).join('');
}
