// Inviting: what a site types, as one line and as a picture. The token is told once and kept nowhere.
import { useEffect, useRef, useState, type SubmitEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { post, send, under } from '../api/client';
import type { InvitationView } from '../api/types';
import { Button, Dialog, Field, Select } from '../components/controls';
import { Copy } from '../components/copy';
import { Failure } from '../components/pieces';
import { Qr } from '../components/qr';
import { useHere } from '../federation';
import { useAction, useResource } from '../use';

const DAY_S = 86_400;
const LENGTHS = { day: DAY_S, week: 7 * DAY_S, month: 30 * DAY_S, ever: undefined } as const;
type Length = keyof typeof LENGTHS;

export function Invite({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog open={open} title={t('invite.title')} onClose={onClose} wide>
      {open && <Inviting />}
    </Dialog>
  );
}

function Inviting() {
  const { name } = useHere();
  const [made, setMade] = useState<InvitationView>();
  const path = under(name, 'invitations');
  const { data, reload } = useResource<InvitationView[]>(path);
  const invitation = made?.token == null ? undefined : `${location.origin}/${name}#${made.token}`;
  return (
    <>
      {invitation === undefined ? <Ask path={path} onMade={(made) => (setMade(made), reload())} /> : <Made invitation={invitation} />}
      <Others path={path} invitations={data ?? []} onChanged={reload} />
    </>
  );
}

function Ask({ path, onMade }: { path: string; onMade: (made: InvitationView) => void }) {
  const { t } = useTranslation();
  const [note, setNote] = useState('');
  const [uses, setUses] = useState('');
  const [length, setLength] = useState<Length>('week');
  const invite = useAction(async () => {
    const expires = LENGTHS[length];
    const spec = { note, uses: uses === '' ? null : Number(uses), ...(expires === undefined ? {} : { expires_in_s: expires }) };
    onMade(await post<InvitationView>(path, spec));
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void invite.run();
  };
  const lengths = (['day', 'week', 'month', 'ever'] as const).map((id) => ({ id, label: t(`invite.${id}`) }));
  return (
    <form onSubmit={submit}>
      <Field label={t('invite.note')} value={note} onChange={setNote} hint={t('invite.note_hint')} autoFocus />
      <div className="fields">
        <Field label={t('invite.uses')} type="number" value={uses} onChange={setUses} placeholder={t('invite.any')} />
        <Select labelled label={t('invite.length')} value={length} options={lengths} onChange={setLength} />
      </div>
      {invite.failure !== undefined && <Failure>{invite.failure}</Failure>}
      <div className="dialog-foot">
        <Button look="first" type="submit" isDisabled={invite.busy}>
          {t('invite.make')}
        </Button>
      </div>
    </form>
  );
}

function Made({ invitation }: { invitation: string }) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  // The button that was pressed is gone; without this the keyboard would be outside of the dialog.
  useEffect(() => box.current?.focus(), []);
  // In the environment, for everybody on a machine can read its command lines.
  const command = `DURE_INVITATION='${invitation}' dure join --data DIR`;
  const here = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);
  return (
    <div className="invited" ref={box} tabIndex={-1}>
      <div>
        <p>{t('invite.command')}</p>
        <Copy text={command} label={t('invite.command_label')} />
        <p className="muted">{t('invite.once')}</p>
        {here && <p className="muted">{t('invite.only_here')}</p>}
      </div>
      <Qr text={invitation} label={t('invite.qr')} />
    </div>
  );
}

function Others({ path, invitations, onChanged }: { path: string; invitations: InvitationView[]; onChanged: () => void }) {
  const { t, i18n } = useTranslation();
  const revoke = useAction(async (id: number) => {
    await send('DELETE', `${path}/${id}`);
    onChanged();
  });
  if (invitations.length === 0) return null;
  const date = (text: string) => new Intl.DateTimeFormat(i18n.language, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(text));
  return (
    <>
      <h3>{t('invite.open')}</h3>
      {revoke.failure !== undefined && <Failure>{revoke.failure}</Failure>}
      <ul className="invitations">
        {invitations.slice(-20).reverse().map((invitation) => (
          <li key={invitation.id}>
            <span>{invitation.note === '' ? t('invite.number', { id: invitation.id }) : invitation.note}</span>
            <span className="muted">
              {invitation.uses == null ? t('invite.used', { count: invitation.used }) : t('invite.used_of', { used: invitation.used, count: invitation.uses })}
              {' · '}
              {invitation.expires == null ? t('invite.for_ever') : t('invite.until', { date: date(invitation.expires) })}
            </span>
            <Button look="quiet" onPress={() => void revoke.run(invitation.id)}>
              {t('invite.revoke')}
            </Button>
          </li>
        ))}
      </ul>
    </>
  );
}
