// A job's curves: the global one, beside it those of clients and how they spread, and what other ways of learning came to.
import { useMemo, useState } from 'react';
import { ToggleButton } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { Button, Select } from '../components/controls';
import { Combo } from '../components/combo';
import { Icon } from '../components/icon';
import { Failure } from '../components/pieces';
import { useHere } from '../federation';
import { count, csv } from '../format';
import type { Said } from '../journal/clients.worker';
import type { Job } from '../journal/fold';
import { useClients, type Clients } from '../journal/use-clients';
import { useBaselines, type Baselines } from '../report';
import { save } from '../save';
import { useFailureWords, useSettled } from '../use';
import { curve, figures, table } from './curve';
import { Plot, useFigure, useRounds } from './plot';
import { BASELINES, MAIN, MEDIAN, MOST, otherLook, SPREAD, type Series } from './series';

type Band = 'none' | 'tenths' | 'all';

/** What of the clients is to be drawn. A client keeps its place, and with it its look, while others come and go. */
interface Choice {
  shown: boolean;
  band: Band;
  extremes: boolean;
  picked: readonly (string | undefined)[];
}

const NOBODY: Choice = { shown: false, band: 'tenths', extremes: false, picked: [] };
/** The best, the worst and the one in the middle have the last looks. */
const EXTREMES = ['best', 'median', 'worst'] as const;

export function JobCurves({ job }: { job: Job }) {
  const { t } = useTranslation();
  const { name, snapshot } = useHere();
  const { points } = job;
  const names = useMemo(() => figures(points), [points]);
  const [figure, choose] = useFigure(names);
  const [choice, setChoice] = useState(NOBODY);
  const [search, setSearch] = useState('');
  const wanted = useSettled(search, 150);
  const picked = choice.picked.filter((client) => client !== undefined);
  const ask = { figure, upTo: points.at(-1)?.round ?? 0, clients: picked, extremes: choice.extremes, search: wanted.trim() };
  const clients = useClients(name, job.job, snapshot, choice.shown ? ask : undefined);
  const said = choice.shown && clients.said?.ask.figure === figure ? clients.said : undefined;
  const baselines = useBaselines(name);
  const x = useRounds();
  const series = useMemo((): Series[] => {
    const global: Series = { id: 'global', name: t('model.global'), look: MAIN, points: curve(points, figure) };
    return [global, ...ofClients(said, choice, t), ...levels(baselines, figure, t)];
  }, [t, points, figure, said, choice, baselines]);
  const remove = (id: string) => {
    const place = choice.picked.findIndex((client) => client !== undefined && id === `client ${client}`);
    return place < 0 ? undefined : () => setChoice({ ...choice, picked: choice.picked.with(place, undefined) });
  };
  const files = { name: `job-${job.job}-rounds`, table: () => csv(table(points)) };
  return (
    <>
      <Plot figures={names} figure={figure} onFigure={choose} series={series} x={x} files={files} onRemove={remove}>
        <ToggleButton className="button plain" isSelected={choice.shown} onChange={(shown) => setChoice({ ...choice, shown })}>
          {t('curves.by_client')}
        </ToggleButton>
      </Plot>
      {choice.shown && <ByClient job={job.job} clients={clients} choice={choice} onChoice={setChoice} search={search} onSearch={setSearch} />}
    </>
  );
}

interface Props {
  job: number;
  clients: Clients;
  choice: Choice;
  onChoice: (choice: Choice) => void;
  search: string;
  onSearch: (text: string) => void;
}

/** Whose curves are drawn beside the global one. */
function ByClient({ job, clients, choice, onChoice, search, onSearch }: Props) {
  const { t, i18n } = useTranslation();
  const words = useFailureWords();
  const { said, reading, failure } = clients;
  const taken = new Set(choice.picked);
  const room = choice.extremes ? MOST - EXTREMES.length : MOST;
  const picked = choice.picked.filter((client) => client !== undefined).length;
  const add = (client: string) => {
    const free = choice.picked.indexOf(undefined);
    onChoice({ ...choice, picked: free < 0 ? [...choice.picked, client] : choice.picked.with(free, client) });
  };
  const options = (said?.found ?? []).filter((client) => !taken.has(client) && client.includes(search.trim())).map((id) => ({ id, label: id }));
  if (failure !== undefined) return <Failure>{words(failure)}</Failure>;
  return (
    <div className="by-client">
      <div className="chart-head">
        <Combo label={picked < room ? t('curves.add') : t('curves.full', { count: room })} text={search} onText={onSearch} options={options} onChoose={add} disabled={picked >= room} />
        <ToggleButton className="button plain" isSelected={choice.extremes} isDisabled={!choice.extremes && choice.picked.length > MOST - EXTREMES.length} onChange={(extremes) => onChoice({ ...choice, extremes })}>
          {t('curves.extremes')}
        </ToggleButton>
        <Select label={t('curves.spread')} value={choice.band} options={(['none', 'tenths', 'all'] as const).map((id) => ({ id, label: t(`curves.band_${id}`) }))} onChange={(band) => onChoice({ ...choice, band })} />
        <span className="chart-actions">
          <Button look="quiet" isDisabled={said === undefined} onPress={() => void clients.table().then((table) => save(`job-${job}-clients.csv`, table))}>
            <Icon name="download" />
            {t('curves.clients_csv')}
          </Button>
        </span>
      </div>
      <p className="muted" role="status">
        {said === undefined ? (reading === undefined ? t('curves.reading') : t('curves.reading_so_far', { events: count(reading, i18n.language) })) : t('curves.own', { count: said.clients })}
      </p>
    </div>
  );
}

type T = ReturnType<typeof useTranslation>['t'];

function ofClients(said: Said | undefined, { band, picked }: Choice, t: T): Series[] {
  if (said === undefined) return [];
  const { spread, curves, extremes } = said;
  const name = band === 'all' ? t('curves.band_all') : t('curves.band_tenths');
  const sides = spread.map(({ round, min, p10, p90, max }) => (band === 'all' ? ([round, min, max] as const) : ([round, p10, p90] as const)));
  const bands: Series[] =
    band === 'none'
      ? []
      : [
          { id: 'spread', name, look: SPREAD, band: sides },
          { id: 'spread-median', name: t('curves.median'), look: MEDIAN, points: spread.map(({ round, median }) => [round, median] as const) },
        ];
  const called = (client: string) => {
    const which = EXTREMES.find((which) => extremes?.[which] === client);
    return which === undefined ? client : t(which === 'median' ? 'curves.median_client' : `curves.${which}`, { client });
  };
  const own = picked.flatMap((client, place): Series[] => (client === undefined ? [] : [{ id: `client ${client}`, name: called(client), look: otherLook(place), points: curves[client] ?? [] }]));
  const ends = EXTREMES.flatMap((which, i): Series[] => {
    const client = extremes?.[which];
    if (client === undefined || picked.includes(client)) return [];
    return [{ id: which, name: called(client), look: otherLook(MOST - EXTREMES.length + i), points: curves[client] ?? [] }];
  });
  return [...bands, ...own, ...ends];
}

/** What was learned otherwise is known for test rows alone, and its name says so. */
function levels(baselines: Baselines, figure: string, t: T): Series[] {
  return baselines.flatMap(([name, figures]): Series[] => {
    const level = figures[figure];
    return level === undefined ? [] : [{ id: name, name: t(`curves.${name}`), look: BASELINES[name], level }];
  });
}
