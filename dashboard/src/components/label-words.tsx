// How a client's labels are distributed, in words.
import { useTranslation } from 'react-i18next';
import type { Labels } from '../api/types';
import { count, figure } from '../format';
import { largest } from '../labels';

/** How many classes are named. */
const NAMED = 4;

export function LabelWords({ labels }: { labels: Labels }) {
  const { t, i18n } = useTranslation();
  if ('number' in labels) {
    const { mean, quantiles } = labels.number;
    const [low, , median, , high] = quantiles.map((value) => figure(value, i18n.language));
    return <>{t('data.number_words', { mean: figure(mean, i18n.language), median, low, high })}</>;
  }
  const { first, more, few } = largest(labels.classes, NAMED);
  const named = first.map(([name, rows]) => `${name} ${count(rows, i18n.language)}`);
  const rest = [...(more > 0 ? [t('data.more_classes', { count: more })] : []), ...(few > 0 ? [t('data.few_classes', { count: few })] : [])];
  return <>{[...named, ...rest].join(', ')}</>;
}
