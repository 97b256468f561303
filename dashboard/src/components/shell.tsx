// What stands around every screen: whose page it is, the language, the light, and the way out. Events come twenty times a second, and
// lists to choose from are dear: what does not change with events is made once.
import { memo, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { send } from '../api/client';
import { chooseLanguage, LANGUAGES, type Language } from '../i18n';
import { chooseTheme, keptTheme, THEMES } from '../theme';
import { Button, Select } from './controls';
import { Icon } from './icon';
import { Mark } from './mark';

export function Shell({ bar, nav, children }: { bar?: ReactNode; nav?: ReactNode; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <div className={nav === undefined ? 'shell' : 'shell with-nav'}>
      <a className="skip" href="#main">
        {t('shell.skip')}
      </a>
      <header className="bar">
        <Link to="/federations" className="brand">
          <Mark />
          <span>Dure</span>
        </Link>
        {bar}
        <div className="bar-end">
          <LanguageSwitch />
          <ThemeSwitch />
          <SignOut />
        </div>
      </header>
      {nav}
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

/** The names of languages are each in its own. */
const NAMES: Record<Language, string> = { en: 'English', ko: '한국어' };

export const LanguageSwitch = memo(function LanguageSwitch() {
  const { t, i18n } = useTranslation();
  const options = LANGUAGES.map((id) => ({ id, label: NAMES[id] }));
  const current = LANGUAGES.find((language) => language === i18n.language) ?? 'en';
  return <Select label={t('shell.language')} value={current} options={options} onChange={chooseLanguage} />;
});

export const ThemeSwitch = memo(function ThemeSwitch() {
  const { t } = useTranslation();
  const [theme, setTheme] = useState(keptTheme);
  const options = THEMES.map((id) => ({ id, label: t(`theme.${id}`) }));
  const choose = (theme: (typeof THEMES)[number]) => {
    chooseTheme(theme);
    setTheme(theme);
  };
  return <Select label={t('shell.theme')} value={theme} options={options} onChange={choose} />;
});

const SignOut = memo(function SignOut() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const leave = async () => {
    // Also where the session has ended by itself.
    await send('DELETE', '/v1/session').catch(() => undefined);
    await navigate('/sign-in');
  };
  return (
    <Button look="quiet" aria-label={t('shell.sign_out')} onPress={() => void leave()}>
      <Icon name="leave" />
    </Button>
  );
});
