// Signing in: the operator's token is exchanged for a cookie that no script can read, and is kept nowhere.
import { useEffect, useRef, useState, type SubmitEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation, useNavigate, useSearchParams } from 'react-router';
import { post, Refused } from '../api/client';
import { Button, Field } from '../components/controls';
import { Mark } from '../components/mark';
import { Failure } from '../components/pieces';
import { LanguageSwitch, ThemeSwitch } from '../components/shell';
import { tokenIn } from '../link';
import { useAction, useTitle } from '../use';

export function SignIn() {
  const { t } = useTranslation();
  const [token, setToken] = useState('');
  const navigate = useNavigate();
  const [search] = useSearchParams();
  useTitle(t('sign_in.title'));
  const begin = useAction(async (token: string) => {
    try {
      await post('/v1/session', { token: token.trim() });
    } catch (error) {
      throw error instanceof Refused && error.status === 401 ? new Error(t('sign_in.wrong'), { cause: error }) : error;
    }
    const back = search.get('back') ?? '';
    // Only to a screen of this page.
    await navigate(/^\/(federations|compare)/.test(back) ? back : '/federations', { replace: true });
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void begin.run(token);
  };
  useLinkedToken((token) => void begin.run(token));
  return (
    <main className="sign-in">
      <div className="sign-in-box">
        <div className="sign-in-head">
          <Mark />
          <h1>Dure</h1>
        </div>
        <p className="muted">{t('sign_in.what')}</p>
        <form onSubmit={submit}>
          <Field label={t('sign_in.token')} type="password" value={token} onChange={setToken} required autoFocus hint={t('sign_in.hint')} autoComplete="current-password" />
          {begin.failure !== undefined && <Failure>{begin.failure}</Failure>}
          <Button look="first" type="submit" isDisabled={begin.busy}>
            {t('sign_in.title')}
          </Button>
        </form>
      </div>
      <div className="sign-in-foot">
        <LanguageSwitch />
        <ThemeSwitch />
      </div>
    </main>
  );
}

/** Takes a token out of the address, its history included, and gives it to `use`, once. */
function useLinkedToken(use: (token: string) => void): void {
  const { hash, pathname, search } = useLocation();
  const taken = useRef<string>(undefined);
  useEffect(() => {
    const token = tokenIn(hash);
    if (token === undefined || token === taken.current) return;
    taken.current = token;
    window.history.replaceState(window.history.state, '', pathname + search);
    use(token);
  }, [hash, pathname, search, use]);
}
