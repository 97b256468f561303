// The states of clients, jobs and rounds as words.
import { useTranslation } from 'react-i18next';
import type { ClientState, JobStatus } from '../api/types';
import type { Round } from '../journal/fold';
import { Badge } from './pieces';

const CLIENT_TONES = {
  joined: 'dim', ready: 'good', training: 'busy', updating: 'busy', finished: 'good', lost: 'bad', left: 'dim', evicted: 'bad',
} as const satisfies Record<ClientState, string>;

export function ClientBadge({ state }: { state: ClientState }) {
  const { t } = useTranslation();
  return <Badge tone={CLIENT_TONES[state]}>{t(`client_state.${state}`)}</Badge>;
}

const JOB_TONES = {
  created: 'dim', running: 'busy', paused: 'warn', completed: 'good', aborted: 'bad', gave_up: 'bad', failed: 'bad',
} as const satisfies Record<JobStatus, string>;

export function JobBadge({ status }: { status: JobStatus }) {
  const { t } = useTranslation();
  return <Badge tone={JOB_TONES[status]}>{t(`job_status.${status}`)}</Badge>;
}

const ROUND_TONES = { open: 'busy', complete: 'good', abandoned: 'bad' } as const satisfies Record<Round['outcome'], string>;

export function RoundBadge({ outcome }: { outcome: Round['outcome'] }) {
  const { t } = useTranslation();
  return <Badge tone={ROUND_TONES[outcome]}>{t(`round_outcome.${outcome}`)}</Badge>;
}
