// What sites chose to tell of their data: how many rows, and how the labels are distributed. What nobody told is not guessed.
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { under } from '../api/client';
import type { ClassesView, ClientView, DataView, NumberView } from '../api/types';
import { Bars } from '../chart/bars';
import { BoxPlot, series, Strip } from '../chart/strip';
import { Button } from '../components/controls';
import { NotYet } from '../components/guard';
import { LabelWords } from '../components/label-words';
import { PageButtons, usePages } from '../components/pages';
import { Empty, Panel, Table, Tile, Top } from '../components/pieces';
import { useHere } from '../federation';
import { count, figure, rows, share } from '../format';
import { COLOURS, distance, labelsOf, segments } from '../labels';
import { total } from '../members';
import { useResource, useTitle } from '../use';
import { ClientDialog } from './client';

/** How many clients a page shows. */
const PAGE = 50;
/** Up to so many clients have a bar each; of more, sizes are put together. */
const BARS = 200;
const EVERY_MS = 10_000;

export function Data() {
  const { t } = useTranslation();
  const { name, at } = useHere();
  useTitle(t('nav.data'), name);
  // What sites told once is in no journal.
  if (at === undefined) return <Now />;
  return (
    <>
      <Top title={t('nav.data')} under={t('data.under')} />
      <Empty icon="data" title={t('data.past')} />
    </>
  );
}

function Now() {
  const { t } = useTranslation();
  const { name, snapshot } = useHere();
  const [chosen, setChosen] = useState<string>();
  const { data, error, reload } = useResource<DataView>(under(name, 'data'), snapshot.story.changes.clients, EVERY_MS);
  if (data === undefined) return <NotYet error={error} />;
  return (
    <>
      <Top title={t('nav.data')} under={t('data.under')} />
      {data.clients === 0 ? (
        <Empty icon="data" title={t('clients.none')} />
      ) : (
        <>
          <Tiles data={data} />
          <Sizes data={data} onShow={setChosen} />
          {data.classes != null && <Classes classes={data.classes} />}
          {data.tell_labels === 0 ? (
            <Panel title={t('data.distribution')}>
              <Empty icon="data" title={t('data.no_labels')}>
                <p>{t('data.no_labels_hint')}</p>
                <code>dure join --share rows,labels …</code>
              </Empty>
            </Panel>
          ) : (
            <PerClient data={data} onShow={setChosen} />
          )}
        </>
      )}
      <ClientDialog name={chosen} onClose={() => setChosen(undefined)} onChanged={reload} />
    </>
  );
}

function Tiles({ data }: { data: DataView }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => count(value, i18n.language);
  const of = t('data.of_clients', { count: data.clients });
  return (
    <dl className="tiles">
      <Tile label={t('data.tell_rows')} value={number(data.tell_rows)} under={of} />
      <Tile label={t('data.tell_labels')} value={number(data.tell_labels)} under={of} />
      <Tile label={t('data.rows')} value={data.tell_rows === 0 ? '–' : number(data.rows)} under={data.tell_rows < data.clients ? t('data.as_told') : undefined} />
      {data.classes != null && <Tile label={t('data.distance')} value={share(data.classes.distance, i18n.language)} under={t('data.distance_hint')} />}
      {data.number != null && <NumberTiles number={data.number} />}
    </dl>
  );
}

/** The target as the federation's schema has it. */
function useTarget(): string {
  const { t } = useTranslation();
  const target = useHere().view?.schema?.['target'] as { name?: unknown; unit?: unknown } | undefined;
  const [name, unit] = [target?.name, target?.unit];
  const named = typeof name === 'string' ? name : t('data.labels');
  return typeof unit === 'string' && unit !== '' && unit !== '1' ? `${named}, ${unit}` : named;
}

function NumberTiles({ number }: { number: NumberView }) {
  const { t, i18n } = useTranslation();
  const target = useTarget();
  return (
    <>
      <Tile label={t('data.mean')} value={figure(number.mean, i18n.language)} under={target} />
      <Tile label={t('data.deviation')} value={figure(number.deviation, i18n.language)} under={t('data.deviation_hint')} />
    </>
  );
}

function Sizes({ data, onShow }: { data: DataView; onShow: (client: string) => void }) {
  const { t } = useTranslation();
  const { view } = useHere();
  const single = view !== undefined && total(view) <= BARS;
  return (
    <Panel title={t('data.sizes')}>
      {data.tell_rows === 0 ? <p className="muted">{t('data.no_rows')}</p> : single ? <Single onShow={onShow} /> : <Histogram data={data} />}
    </Panel>
  );
}

/** A bar for each client, the largest first. */
function Single({ onShow }: { onShow: (client: string) => void }) {
  const { t, i18n } = useTranslation();
  const { name, snapshot } = useHere();
  const { data, error } = useResource<ClientView[]>(`${under(name, 'clients')}?limit=${BARS}`, snapshot.story.changes.clients, EVERY_MS);
  if (data === undefined) return <NotYet error={error} />;
  const number = (value: number) => count(value, i18n.language);
  const told = data.filter(stays).flatMap(({ client, facts }) => {
    const value = rows(facts);
    return value === undefined ? [] : [{ key: client, value, title: t('data.size_of', { client, rows: number(value) }) }];
  });
  told.sort((a, b) => b.value - a.value);
  const [first, last] = [told[0], told.at(-1)];
  if (first === undefined || last === undefined) return null;
  const label = t('data.sizes_label', { count: told.length, most: number(first.value), least: number(last.value) });
  return (
    <>
      <Bars label={label} bars={told} format={(value) => number(Math.round(value))} ends={[t('data.largest'), t('data.smallest')]} onPress={onShow} />
      <AsTable head={[t('clients.client'), t('clients.rows')]} cells={told.map((bar) => [bar.key, number(bar.value)])} />
    </>
  );
}

/** How many clients have about the same number of rows. */
function Histogram({ data }: { data: DataView }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => count(value, i18n.language);
  const bars = data.sizes.map(({ from, to, clients }) => {
    const range = from === to ? number(from) : `${number(from)}–${number(to)}`;
    return { key: range, value: clients, title: t('data.clients_of', { count: clients, range }) };
  });
  const [first, last] = [data.sizes[0], data.sizes.at(-1)];
  if (first === undefined || last === undefined) return null;
  const ends = [t('data.of_rows', { rows: number(first.from) }), t('data.of_rows', { rows: number(last.to) })] as const;
  return (
    <>
      <Bars label={t('data.histogram_label', { count: data.tell_rows, least: number(first.from), most: number(last.to) })} bars={bars} format={(value) => number(Math.round(value))} ends={ends} />
      <AsTable head={[t('clients.rows'), t('nav.clients')]} cells={bars.map((bar) => [bar.key, number(bar.value)])} />
    </>
  );
}

/** The same as a picture, once somebody asks for it. */
function AsTable({ head: [first, second], cells }: { head: readonly [string, string]; cells: readonly (readonly [string, string])[] }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const head = (
    <>
      <th>{first}</th>
      <th className="number">{second}</th>
    </>
  );
  return (
    <details className="as-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('data.as_table')}</summary>
      {open && (
        <Table label={t('data.as_table')} head={head}>
          {cells.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="number">{value}</td>
            </tr>
          ))}
        </Table>
      )}
    </details>
  );
}

/** Everybody's rows class by class; the colours are those of the strips below. */
function Classes({ classes: { classes } }: { classes: ClassesView }) {
  const { t, i18n } = useTranslation();
  const [all, setAll] = useState(false);
  const sum = rowsOf(classes);
  const most = Math.max(1, ...classes.map(({ rows }) => rows));
  const shown = all ? classes : classes.slice(0, COLOURS);
  const others = classes.length - shown.length;
  const head = (
    <>
      <th>{t('data.class')}</th>
      <th className="wide">{t('data.distribution')}</th>
      <th className="number">{t('clients.rows')}</th>
      <th className="number">{t('data.share')}</th>
      <th className="number">{t('data.at_clients')}</th>
      <th className="number">{t('data.too_few')}</th>
    </>
  );
  return (
    <Panel flush title={t('data.together')}>
      <Table label={t('data.together')} head={head}>
        {shown.map(({ class: name, rows, clients, few }, i) => (
          <tr key={name} data-class={name}>
            <th scope="row">
              <ClassName name={name} i={i} />
            </th>
            <td>
              <svg className="strip" viewBox={`0 0 ${most} 10`} preserveAspectRatio="none" aria-hidden="true">
                <rect className={series(i)} width={rows} height={10} />
              </svg>
            </td>
            <td className="number">{count(rows, i18n.language)}</td>
            <td className="number">{sum === 0 ? '–' : share(rows / sum, i18n.language)}</td>
            <td className="number">{count(clients, i18n.language)}</td>
            <td className="number">{few === 0 ? '–' : count(few, i18n.language)}</td>
          </tr>
        ))}
        {others > 0 && (
          <tr>
            <th scope="row">
              <ClassName name={t('data.others', { count: others })} i={COLOURS} />
            </th>
            <td />
            <td className="number">{count(sum - rowsOf(shown), i18n.language)}</td>
            <td className="number">{sum === 0 ? '–' : share(1 - rowsOf(shown) / sum, i18n.language)}</td>
            <td />
            <td />
          </tr>
        )}
      </Table>
      {classes.length > COLOURS && (
        <div className="pages">
          <Button look="quiet" onPress={() => setAll(!all)}>
            {all ? t('data.fewer') : t('data.all_classes', { count: classes.length })}
          </Button>
        </div>
      )}
    </Panel>
  );
}

function rowsOf(classes: ClassesView['classes']): number {
  return classes.reduce((sum, { rows }) => sum + rows, 0);
}

/** A class beside its colour. */
function ClassName({ name, i }: { name: string; i: number }) {
  return (
    <span className="key-of-class">
      <svg className="swatch" viewBox="0 0 10 10" aria-hidden="true">
        <rect className={series(i)} width={10} height={10} rx={3} />
      </svg>
      {name}
    </span>
  );
}

/** Client by client, a page at a time. */
function PerClient({ data, onShow }: { data: DataView; onShow: (client: string) => void }) {
  const { t, i18n } = useTranslation();
  const { snapshot } = useHere();
  const pages = usePages(PAGE, {}, snapshot.story.changes.clients, EVERY_MS);
  const target = useTarget();
  const order = data.classes?.classes.map(({ class: name }) => name) ?? [];
  const head = (
    <>
      <th>{t('clients.client')}</th>
      <th className="number">{t('clients.rows')}</th>
      <th className="wide">{data.number == null ? t('data.distribution') : target}</th>
      <th>{t('data.in_words')}</th>
      {data.classes != null && <th className="number">{t('data.distance_short')}</th>}
    </>
  );
  return (
    <Panel flush title={t('data.per_client')} actions={data.number != null && <Scale number={data.number} />}>
      {pages.page === undefined ? (
        <NotYet error={pages.error} />
      ) : (
        <Table label={t('data.per_client')} head={head}>
          {pages.page.filter(stays).map(({ client, facts }) => {
            const [has, labels] = [rows(facts), labelsOf(facts)];
            return (
              <tr key={client} data-client={client}>
                <th scope="row">
                  <Button look="quiet" className="link" onPress={() => onShow(client)}>
                    {client}
                  </Button>
                </th>
                <td className="number">{has === undefined ? '–' : count(has, i18n.language)}</td>
                <td>
                  {labels !== undefined && 'classes' in labels && <Strip parts={segments(labels.classes, order)} />}
                  {labels !== undefined && 'number' in labels && data.number != null && <BoxPlot {...labels.number} low={data.number.low} high={data.number.high} />}
                </td>
                <td className={labels === undefined ? 'words muted' : 'words'}>{labels === undefined ? t('data.untold') : <LabelWords labels={labels} />}</td>
                {data.classes != null && <td className="number">{distanceOf(labels, data.classes)}</td>}
              </tr>
            );
          })}
        </Table>
      )}
      <PageButtons pages={pages} />
    </Panel>
  );

  function distanceOf(labels: ReturnType<typeof labelsOf>, classes: ClassesView): ReactNode {
    const apart = labels !== undefined && 'classes' in labels ? distance(labels.classes, classes) : undefined;
    return apart === undefined ? '–' : share(apart, i18n.language);
  }
}

/** From where to where all box plots go, and what their parts are. */
function Scale({ number }: { number: NumberView }) {
  const { t, i18n } = useTranslation();
  return <span className="muted scale">{t('data.scale', { low: figure(number.low, i18n.language), high: figure(number.high, i18n.language) })}</span>;
}

/** Whose data are in the federation still. */
function stays({ state }: ClientView): boolean {
  return state !== 'left' && state !== 'evicted';
}
