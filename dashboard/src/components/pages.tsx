// The clients of a federation, a page at a time: the server has them in the order of their names.
import { useCallback, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { under } from '../api/client';
import type { ClientView } from '../api/types';
import { useHere } from '../federation';
import { useResource, type Resource } from '../use';
import { Button } from './controls';

export interface Pages {
  /** Undefined before they are there. */
  page: ClientView[] | undefined;
  number: number;
  error: Resource<unknown>['error'];
  reload: () => void;
  /** To the first page again, for what is looked for is another. */
  first: () => void;
  previous: (() => void) | undefined;
  next: (() => void) | undefined;
}

/** Pages of `size` clients that fit `query`, fetched anew with `version` and every so often. */
export function usePages(size: number, query: Record<string, string>, version: unknown, everyMs: number): Pages {
  const { name } = useHere();
  /** The last names of the pages before. */
  const [before, setBefore] = useState<string[]>([]);
  // One more than is shown: whether there is a next page.
  const search = new URLSearchParams({ ...query, limit: String(size + 1), after: before.at(-1) ?? '' });
  const { shown, error, reload } = useResource<ClientView[]>(`${under(name, 'clients')}?${search.toString()}`, version, everyMs);
  const page = useMemo(() => shown?.slice(0, size), [shown, size]);
  const first = useCallback(() => setBefore([]), []);
  const last = page?.at(-1)?.client;
  const more = (shown?.length ?? 0) > size && last !== undefined;
  return {
    page, number: before.length + 1, error, reload,
    first,
    previous: before.length > 0 ? () => setBefore(before.slice(0, -1)) : undefined,
    next: more ? () => setBefore([...before, last]) : undefined,
  };
}

/** The ways to the pages before and after; nothing if there is one alone. */
export function PageButtons({ pages: { number, previous, next } }: { pages: Pages }) {
  const { t } = useTranslation();
  if (previous === undefined && next === undefined) return null;
  return (
    <div className="pages">
      <Button isDisabled={previous === undefined} onPress={() => previous?.()}>
        {t('common.previous')}
      </Button>
      <span className="muted">{t('common.page', { page: number })}</span>
      <Button isDisabled={next === undefined} onPress={() => next?.()}>
        {t('common.next')}
      </Button>
    </div>
  );
}
