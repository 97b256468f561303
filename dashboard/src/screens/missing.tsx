// An address that is none.
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Empty } from '../components/pieces';

export function Missing() {
  const { t } = useTranslation();
  return (
    <Empty icon="search" title={t('missing.title')}>
      <Link to="/federations">{t('federations.title')}</Link>
    </Empty>
  );
}
