// What is not the same in several settings, key by key.
import { useTranslation } from 'react-i18next';
import { differences } from '../compare';
import { Panel, Table } from './pieces';

/** How many keys are listed. */
const SHOWN = 200;

export function Differences({ names, settings }: { names: readonly string[]; settings: readonly unknown[] }) {
  const { t } = useTranslation();
  const all = differences(settings);
  const head = (
    <>
      <th>{t('compare.key')}</th>
      {names.map((name) => (
        <th key={name}>{name}</th>
      ))}
    </>
  );
  if (all.length === 0) {
    return (
      <Panel title={t('compare.plans')}>
        <p className="muted">{t('compare.same')}</p>
      </Panel>
    );
  }
  return (
    <Panel flush title={t('compare.plans')} actions={all.length > SHOWN && <span className="muted">{t('compare.first', { count: SHOWN })}</span>}>
      <Table label={t('compare.plans')} head={head}>
        {all.slice(0, SHOWN).map(({ key, values }) => (
          <tr key={key} data-key={key}>
            <th scope="row">
              <code>{key}</code>
            </th>
            {values.map((value, i) => (
              <td key={names[i]} className="words">
                {value === undefined ? <span className="muted">{t('compare.absent')}</span> : <code>{value}</code>}
              </td>
            ))}
          </tr>
        ))}
      </Table>
    </Panel>
  );
}
