// A field that suggests what could be meant while somebody types.
import { useState } from 'react';
import { ComboBox, Input, ListBox, ListBoxItem, Popover } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { Icon } from './icon';

interface Props {
  label: string;
  text: string;
  onText: (text: string) => void;
  /** What is suggested for the text. */
  options: readonly { id: string; label: string }[];
  onChoose: (id: string) => void;
  disabled?: boolean;
}

/** Whatever is chosen is handed over, and the field is empty for the next. */
export function Combo({ label, text, onText, options, onChoose, disabled = false }: Props) {
  const { t } = useTranslation();
  // The list closes when the value becomes another, so there is one until somebody types again.
  const [chosen, setChosen] = useState<string | null>(null);
  const choose = (key: unknown) => {
    const option = options.find(({ id }) => id === key);
    if (option === undefined) return;
    setChosen(option.id);
    onChoose(option.id);
    onText('');
  };
  const type = (text: string) => {
    setChosen(null);
    onText(text);
  };
  return (
    <ComboBox aria-label={label} inputValue={text} onInputChange={type} value={chosen} onChange={choose} items={options.map((option) => ({ ...option }))} menuTrigger="focus" allowsEmptyCollection isDisabled={disabled} defaultFilter={() => true} className="search">
      <Icon name="search" />
      <Input className="input" placeholder={label} />
      <Popover className="popover">
        <ListBox className="list-box" renderEmptyState={() => <p className="muted option">{t('common.nothing')}</p>}>
          {(option: { id: string; label: string }) => (
            <ListBoxItem id={option.id} textValue={option.label} className="option">
              {option.label}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </ComboBox>
  );
}
