// A field that suggests what could be meant while somebody types.
import { ComboBox, Input, ListBox, ListBoxItem, Popover } from 'react-aria-components';
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
  const choose = (key: unknown) => {
    const chosen = options.find((option) => option.id === key);
    if (chosen === undefined) return;
    onChoose(chosen.id);
    onText('');
  };
  return (
    <ComboBox aria-label={label} inputValue={text} onInputChange={onText} value={null} onChange={choose} items={options.map((option) => ({ ...option }))} menuTrigger="focus" allowsEmptyCollection={false} isDisabled={disabled} defaultFilter={() => true} className="search combo">
      <Icon name="search" />
      <Input className="input" placeholder={label} />
      <Popover className="popover">
        <ListBox className="list-box">
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
