// One round: who was asked, who has answered what, and until when it waits.
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { under } from '../api/client';
import type { ClientView, JobView } from '../api/types';
import { Button, SearchField } from '../components/controls';
import { Badge, Empty, Panel, Progress, Table, Tile, Top } from '../components/pieces';
import { ClientBadge, RoundBadge } from '../components/state';
import { OwnWords } from '../components/words';
import { address, useHere } from '../federation';
import { bytes, clock, count, duration, figure } from '../format';
import { parseRound } from '../journal/events';
import type { Round as RoundStory } from '../journal/fold';
import { useResource, useTitle } from '../use';

/** How many clients are shown at a time. */
const PAGE = 100;

export function Round() {
  const { t } = useTranslation();
  const { round: id = '' } = useParams();
  const { name, snapshot } = useHere();
  const { job } = parseRound(id);
  useTitle(id, name);
  const round = snapshot.story.jobs.get(job)?.rounds.findLast((round) => round.id === id);
  if (round === undefined) return <Empty icon="jobs" title={t('round.missing', { round: id })} />;
  return (
    <>
      <Top
        title={t(`kind.${round.kind}`, { ordinal: round.ordinal })}
        under={
          <>
            <Link to={address(name, 'jobs', job)}>{t('jobs.number', { job })}</Link> · {id}
          </>
        }
        actions={<RoundBadge outcome={round.outcome} />}
      />
      <Figures round={round} />
      {round.folded ? (
        <Panel title={t('round.clients')}>
          <p className="muted">{t('round.folded')}</p>
        </Panel>
      ) : (
        <Clients round={round} />
      )}
    </>
  );
}

function Figures({ round }: { round: RoundStory }) {
  const { t, i18n } = useTranslation();
  const { name, snapshot } = useHere();
  const open = round.outcome === 'open';
  const { data: job } = useResource<JobView>(open ? under(name, 'jobs', round.job) : undefined, snapshot.story.changes.jobs, 1000);
  const left = job?.round?.round === round.id ? job.round.deadline_s * 1000 : undefined;
  return (
    <>
      <dl className="tiles">
        <Tile label={t('round.answers')} value={count(round.reported, i18n.language)} under={t('round.of_asked', { count: round.asked })} />
        <Tile label={t('round.quorum')} value={count(round.quorum, i18n.language)} under={t('round.goal', { count: round.goal })} />
        {open ? (
          <Tile label={t('round.deadline')} value={left === undefined ? '–' : duration(left, i18n.language)} />
        ) : (
          <Tile label={t('round.took')} value={duration((round.ended ?? round.opened) - round.opened, i18n.language)} />
        )}
        <Tile label={t('round.bytes')} value={bytes(round.bytes, i18n.language)} />
        {round.loss !== undefined && <Tile label={t('round.loss')} value={figure(round.loss, i18n.language)} />}
        {round.version !== null && <Tile label={t('round.base')} value={round.version} />}
      </dl>
      <Progress value={round.reported} of={round.goal} label={t('round.answers')} />
    </>
  );
}

function Clients({ round }: { round: RoundStory }) {
  const { t, i18n } = useTranslation();
  const { name } = useHere();
  const [search, setSearch] = useState('');
  const [page, setPage] = useState(0);
  const open = round.outcome === 'open' ? under(name, 'clients') : undefined;
  // Who works and who sends is in no journal: only the server knows, and only now.
  const { data: training } = useResource<ClientView[]>(open && `${open}?state=training`, round.reported, 1000);
  const { data: updating } = useResource<ClientView[]>(open && `${open}?state=updating`, round.reported, 1000);
  const now = new Map([...(training ?? []), ...(updating ?? [])].map((client) => [client.client, client.state]));
  const found = round.cohort.filter((client) => client.includes(search.trim().toLowerCase()));
  const shown = found.slice(page * PAGE, (page + 1) * PAGE);
  const head = (
    <>
      <th>{t('clients.client')}</th>
      <th>{t('clients.state')}</th>
      <th className="number">{t('round.after')}</th>
      <th className="number">{t('round.weight')}</th>
      <th className="number">{t('round.loss')}</th>
      <th className="number">{t('round.bytes')}</th>
      <th>{t('clients.says')}</th>
    </>
  );
  return (
    <Panel flush title={t('round.clients')} actions={<SearchField label={t('round.search')} value={search} onChange={(text) => (setSearch(text), setPage(0))} />}>
      {shown.length === 0 ? (
        <Empty icon="search" title={t('clients.nobody')} />
      ) : (
        <Table label={t('round.clients')} head={head}>
          {shown.map((client) => {
            const answer = round.answers.get(client);
            const declined = round.declined.get(client);
            return (
              <tr key={client} data-client={client}>
                <th scope="row">{client}</th>
                <td>
                  <Part round={round} client={client} now={now.get(client)} />
                </td>
                <td className="number" title={answer && clock(answer.at)}>
                  {answer === undefined ? '–' : duration(answer.at - round.opened, i18n.language)}
                </td>
                <td className="number">{answer?.weight === undefined ? '–' : count(answer.weight, i18n.language)}</td>
                <td className="number">{figure(answer?.loss, i18n.language)}</td>
                <td className="number">{answer === undefined || answer.bytes === 0 ? '–' : bytes(answer.bytes, i18n.language)}</td>
                <td className="words">{declined !== undefined && <OwnWords words={declined} />}</td>
              </tr>
            );
          })}
        </Table>
      )}
      {found.length > PAGE && (
        <div className="pages">
          <Button isDisabled={page === 0} onPress={() => setPage(page - 1)}>
            {t('common.previous')}
          </Button>
          <span className="muted">{t('common.page_of', { page: page + 1, count: Math.ceil(found.length / PAGE) })}</span>
          <Button isDisabled={(page + 1) * PAGE >= found.length} onPress={() => setPage(page + 1)}>
            {t('common.next')}
          </Button>
        </div>
      )}
    </Panel>
  );
}

/** A client's part in a round, in a word. */
function Part({ round, client, now }: { round: RoundStory; client: string; now: ClientView['state'] | undefined }) {
  const { t } = useTranslation();
  const gone = round.gone.get(client);
  if (round.answers.has(client)) return <Badge tone="good">{t('part.answered')}</Badge>;
  if (round.declined.has(client)) return <Badge tone="bad">{t('part.declined')}</Badge>;
  if (gone !== undefined) return <ClientBadge state={gone} />;
  if (round.outcome !== 'open') return <Badge tone="dim">{t('part.missed')}</Badge>;
  return now === undefined ? <Badge tone="dim">{t('part.awaited')}</Badge> : <ClientBadge state={now} />;
}
