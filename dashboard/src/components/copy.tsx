// A text to copy.
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from './controls';
import { Icon } from './icon';

export function Copy({ text, label }: { text: string; label: string }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  // On plain HTTP from another machine there is no clipboard; the text can still be selected.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  const copy = async () => {
    await clipboard?.writeText(text);
    setCopied(true);
  };
  return (
    <div className="copy">
      <code tabIndex={0} aria-label={label}>
        {text}
      </code>
      {clipboard !== undefined && (
        <Button look="quiet" aria-label={t('common.copy', { what: label })} onPress={() => void copy()}>
          <Icon name={copied ? 'check' : 'copy'} />
        </Button>
      )}
    </div>
  );
}
