// The server itself: what it uses of its machine, what waits, and how much comes and goes.
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { SystemView } from '../api/types';
import { LiveChart } from '../chart/live';
import { NotYet } from '../components/guard';
import { Empty, Panel, Table, Tile, Top } from '../components/pieces';
import { useHere } from '../federation';
import { bytes, count, duration } from '../format';
import { gauge, rate, ratio, read, type Point, type Sample } from '../meter';
import { useResource, useTitle } from '../use';

export function System() {
  const { t } = useTranslation();
  const { name, at } = useHere();
  const { data: samples, error } = useResource<readonly Sample[]>('/v1/system', 0, 1000, read);
  const view = samples?.at(-1)?.view;
  useTitle(t('nav.system'), name);
  return (
    <>
      <Top title={t('nav.system')} under={view === undefined ? undefined : t('system.under', { version: view.version })} />
      {at !== undefined ? (
        <Empty icon="system" title={t('system.past')} />
      ) : samples === undefined || view === undefined ? (
        <NotYet error={error} />
      ) : (
        <>
          <Tiles view={view} />
          <Charts samples={samples} view={view} />
          <Loads view={view} />
        </>
      )}
    </>
  );
}

function Tiles({ view }: { view: SystemView }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => count(value, i18n.language);
  const size = (value: number | null | undefined) => (value == null ? t('system.untold') : bytes(value, i18n.language));
  return (
    <dl className="tiles">
      <Tile label={t('system.uptime')} value={duration(Math.floor(view.uptime_s) * 1000, i18n.language)} />
      <Tile label={t('system.connections')} value={number(view.connections)} under={t('system.of', { most: number(view.max_connections) })} />
      <Tile label={t('system.followers')} value={number(view.federations.reduce((sum, { followers }) => sum + followers, 0))} />
      <Tile label={t('system.disk')} value={size(view.disk_free_bytes)} under={view.disk_bytes == null ? undefined : t('system.of', { most: size(view.disk_bytes) })} />
    </dl>
  );
}

function Charts({ samples, view }: { samples: readonly Sample[]; view: SystemView }) {
  const { t, i18n } = useTranslation();
  const locale = i18n.language;
  const size = (value: number) => bytes(value, locale);
  const share = (value: number) => new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: value < 0.1 ? 1 : 0 }).format(value);
  const number = (value: number) => new Intl.NumberFormat(locale, { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
  const perSecond = (value: number) => t('system.per_second', { value: number(value) });
  const sizePerSecond = (value: number) => t('system.per_second', { value: size(value) });
  const cpu = rate(samples, ({ cpu_s, cores }) => (cpu_s == null ? undefined : cpu_s / cores));
  const queue = gauge(samples, ({ federations }) => federations.reduce((sum, { queue }) => sum + queue, 0));
  const most = view.federations.reduce((sum, { max_queue }) => sum + max_queue, 0);
  return (
    <div className="meters">
      <Told told={view.memory_bytes != null} label={t('system.memory')}>
        <LiveChart label={t('system.memory')} points={gauge(samples, ({ memory_bytes }) => memory_bytes)} format={size} least={1e6} under={view.memory_peak_bytes == null ? undefined : t('system.peak', { most: size(view.memory_peak_bytes) })} />
      </Told>
      <Told told={view.cpu_s != null} label={t('system.cpu')}>
        <LiveChart label={t('system.cpu')} points={cpu} format={share} least={1} under={t('system.of_cores', { count: view.cores })} />
      </Told>
      <LiveChart label={t('system.queue')} points={queue} format={number} least={10} under={t('system.of', { most: number(most) })} />
      <LiveChart label={t('system.append')} points={appends(samples)} format={(ms) => t('system.ms', { value: number(ms) })} least={1} under={t('system.append_under')} />
      <LiveChart label={t('system.requests')} points={rate(samples, ({ requests }) => requests)} format={perSecond} least={10} under={t('system.total', { count: view.requests })} />
      <LiveChart label={t('system.events')} points={rate(samples, ({ events }) => events)} format={perSecond} least={10} under={t('system.total', { count: view.events })} />
      <LiveChart label={t('system.received')} points={rate(samples, ({ received_bytes }) => received_bytes)} format={sizePerSecond} least={1000} under={t('system.total_of', { total: size(view.received_bytes) })} />
      <LiveChart label={t('system.sent')} points={rate(samples, ({ sent_bytes }) => sent_bytes)} format={sizePerSecond} least={1000} under={t('system.total_of', { total: size(view.sent_bytes) })} />
    </div>
  );
}

/** How long a batch of events took to be durable, in milliseconds. */
function appends(samples: readonly Sample[]): Point[] {
  const seconds = ratio(samples, ({ append_s }) => append_s, ({ appends }) => appends);
  return seconds.map(({ at, value }) => ({ at, value: value === undefined ? undefined : value * 1000 }));
}

/** A chart, or that this server's operating system does not tell what would be in it. */
function Told({ told, label, children }: { told: boolean; label: string; children: ReactNode }) {
  const { t } = useTranslation();
  if (told) return children;
  return (
    <figure className="meter">
      <figcaption>
        <span>{label}</span>
        <strong>–</strong>
      </figcaption>
      <p className="muted">{t('system.untold_long')}</p>
    </figure>
  );
}

/** What each federation asks of the server. */
function Loads({ view }: { view: SystemView }) {
  const { t, i18n } = useTranslation();
  const head = (
    <>
      <th>{t('system.federation')}</th>
      <th className="number">{t('system.queue')}</th>
      <th className="number">{t('system.followers')}</th>
    </>
  );
  return (
    <Panel flush title={t('federations.title')}>
      {view.federations.length === 0 ? (
        <Empty icon="world" title={t('federations.none')} />
      ) : (
        <Table label={t('federations.title')} head={head}>
          {view.federations.map(({ federation, queue, max_queue, followers }) => (
            <tr key={federation} data-load={federation}>
              <th scope="row">{federation}</th>
              <td className="number">{t('system.queue_of', { queue: count(queue, i18n.language), most: count(max_queue, i18n.language) })}</td>
              <td className="number">{count(followers, i18n.language)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}
