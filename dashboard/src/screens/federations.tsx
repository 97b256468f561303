// The federations of this server.
import { useState, type SubmitEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { post } from '../api/client';
import type { FederationView, SystemView } from '../api/types';
import { Button, Dialog, Field } from '../components/controls';
import { NotYet } from '../components/guard';
import { Icon } from '../components/icon';
import { Badge, Empty, Failure, Top } from '../components/pieces';
import { Shell } from '../components/shell';
import { count } from '../format';
import { present, total } from '../members';
import { useAction, useResource, useTitle } from '../use';

export function Federations() {
  const { t } = useTranslation();
  const [making, setMaking] = useState(false);
  const { data, error } = useResource<FederationView[]>('/v1/federations', 0, 5000);
  const { data: system } = useResource<SystemView>('/v1/system');
  useTitle(t('federations.title'));
  const make = system?.read_only === false && (
    <Button look="first" onPress={() => setMaking(true)}>
      <Icon name="plus" />
      {t('federations.create')}
    </Button>
  );
  return (
    <Shell>
      <Top title={t('federations.title')} under={t('federations.under')} actions={make} />
      {data === undefined ? <NotYet error={error} /> : <List federations={data} />}
      <Create open={making} onClose={() => setMaking(false)} />
    </Shell>
  );
}

function List({ federations }: { federations: FederationView[] }) {
  const { t } = useTranslation();
  if (federations.length === 0) {
    return (
      <Empty icon="world" title={t('federations.none')}>
        <p>{t('federations.none_hint')}</p>
        <code>dure federation create fitbit</code>
      </Empty>
    );
  }
  return (
    <ul className="cards">
      {federations.map((federation) => (
        <li key={federation.name}>
          <Card federation={federation} />
        </li>
      ))}
    </ul>
  );
}

function Card({ federation }: { federation: FederationView }) {
  const { t, i18n } = useTranslation();
  const active = federation.active_job ?? undefined;
  return (
    <Link to={`/federations/${encodeURIComponent(federation.name)}`} className="card">
      <span className="card-head">
        <strong>{federation.name}</strong>
        {active === undefined ? <Badge tone="dim">{t('federations.idle')}</Badge> : <Badge tone="busy">{t('federations.active', { job: active })}</Badge>}
      </span>
      <span className="muted">{federation.recipe == null ? t('federations.no_recipe') : t('federations.recipe', { recipe: federation.recipe })}</span>
      <span className="card-foot">
        <span>{t('federations.clients', { present: count(present(federation), i18n.language), count: total(federation) })}</span>
        <span>{t('federations.versions', { count: federation.versions })}</span>
      </span>
    </Link>
  );
}

function Create({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog open={open} title={t('federations.create')} onClose={onClose}>
      {open && <Spec onClose={onClose} />}
    </Dialog>
  );
}

function Spec({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [name, setName] = useState('');
  const [recipe, setRecipe] = useState('');
  const create = useAction(async () => {
    await post('/v1/federations', { name: name.trim(), recipe: recipe.trim() === '' ? null : recipe.trim() });
    await navigate(`/federations/${encodeURIComponent(name.trim())}`);
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void create.run();
  };
  return (
    <form onSubmit={submit}>
        <Field label={t('federations.name')} value={name} onChange={setName} required autoFocus hint={t('federations.name_hint')} />
        <Field label={t('federations.recipe_name')} value={recipe} onChange={setRecipe} placeholder="fitbit" hint={t('federations.recipe_hint')} />
        {create.failure !== undefined && <Failure>{create.failure}</Failure>}
        <div className="dialog-foot">
          <Button onPress={onClose}>{t('common.cancel')}</Button>
          <Button look="first" type="submit" isDisabled={create.busy}>
            {t('common.create')}
          </Button>
        </div>
    </form>
  );
}
