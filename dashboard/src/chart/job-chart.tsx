// A job's curve, one figure at a time.
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Point } from '../journal/fold';
import { curve, figures } from './curve';
import { Plot, useFigure, useRounds } from './plot';
import { MAIN, type Series } from './series';

export function JobChart({ points }: { points: readonly Point[] }) {
  const { t } = useTranslation();
  const names = useMemo(() => figures(points), [points]);
  const [figure, choose] = useFigure(names);
  const x = useRounds();
  const series = useMemo((): Series[] => [{ id: 'global', name: t('model.global'), look: MAIN, points: curve(points, figure) }], [t, points, figure]);
  return <Plot figures={names} figure={figure} onFigure={choose} series={series} x={x} />;
}
