// What is pressed, typed into and chosen from: react-aria's, in this page's clothes.
import type { ReactNode } from 'react';
import {
  Button as AriaButton,
  Dialog as AriaDialog,
  FieldError,
  Heading,
  Input,
  Label,
  ListBox,
  ListBoxItem,
  Modal,
  ModalOverlay,
  Popover,
  SearchField as AriaSearchField,
  Select as AriaSelect,
  SelectValue,
  SwitchButton,
  SwitchField,
  Text,
  TextArea,
  TextField,
  type ButtonProps,
} from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { Icon } from './icon';

export function Button({ look = 'plain', className, ...props }: Omit<ButtonProps, 'className'> & { look?: 'plain' | 'first' | 'danger' | 'quiet'; className?: string }) {
  return <AriaButton {...props} className={`button ${look} ${className ?? ''}`} />;
}

interface FieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: ReactNode;
  type?: 'text' | 'password' | 'number';
  lines?: number;
  required?: boolean;
  autoComplete?: string;
  placeholder?: string;
  autoFocus?: boolean;
  name?: string;
  /** Of a number: from where to where its arrows lead. Whether it may be so somebody else judges. */
  bounds?: { min?: number; max?: number; step: number | 'any' };
  /** What is wrong with it. */
  wrong?: ReactNode;
}

export function Field({ label, hint, lines, required = false, autoComplete = 'off', placeholder, type = 'text', bounds, wrong, ...props }: FieldProps) {
  const input =
    lines === undefined ? (
      <Input className="input" {...bounds} {...(placeholder === undefined ? {} : { placeholder })} />
    ) : (
      <TextArea className="input" rows={lines} spellCheck="false" {...(placeholder === undefined ? {} : { placeholder })} />
    );
  return (
    <TextField {...props} {...(bounds === undefined ? {} : { validationBehavior: 'aria' })} {...judged(wrong)} type={type} isRequired={required} autoComplete={autoComplete} className="field">
      <Label>{label}</Label>
      {input}
      {wrong !== undefined && <FieldError className="wrong">{wrong}</FieldError>}
      {hint !== undefined && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
    </TextField>
  );
}

/** A control that somebody else judges, who found `wrong` in it. */
function judged(wrong: ReactNode) {
  return wrong === undefined ? {} : ({ isInvalid: true, validationBehavior: 'aria' } as const);
}

export function SearchField({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  return (
    <AriaSearchField aria-label={label} value={value} onChange={onChange} className="search">
      <Icon name="search" />
      <Input className="input" placeholder={label} />
    </AriaSearchField>
  );
}

interface SelectProps<T extends string> {
  label: string;
  value: T;
  options: readonly { id: T; label: string }[];
  onChange: (value: T) => void;
  /** Whether the label is to be seen, or only heard. */
  labelled?: boolean;
  hint?: ReactNode;
  wrong?: ReactNode;
}

export function Select<T extends string>({ label, value, options, onChange, labelled = false, hint, wrong }: SelectProps<T>) {
  const choose = (key: unknown) => {
    const chosen = options.find((option) => option.id === key);
    if (chosen) onChange(chosen.id);
  };
  return (
    <AriaSelect {...(labelled ? {} : { 'aria-label': label })} {...judged(wrong)} value={value} onChange={choose} className="select">
      {labelled && <Label className="label">{label}</Label>}
      <AriaButton className="button plain">
        <SelectValue />
        <Icon name="down" />
      </AriaButton>
      {wrong !== undefined && <FieldError className="wrong">{wrong}</FieldError>}
      {hint !== undefined && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <Popover className="popover">
        <ListBox className="list-box" items={options.map((option) => ({ ...option }))}>
          {(option) => (
            <ListBoxItem id={option.id} textValue={option.label} className="option">
              {option.label}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </AriaSelect>
  );
}

/** A box to tick, whose label is only heard. */
export function Check({ label, on, onChange, disabled = false }: { label: string; on: boolean; onChange: (on: boolean) => void; disabled?: boolean }) {
  return <input type="checkbox" className="check" aria-label={label} checked={on} onChange={(event) => onChange(event.target.checked)} disabled={disabled} />;
}

interface SwitchProps {
  label: string;
  selected: boolean;
  onChange: (selected: boolean) => void;
  hint: ReactNode;
  wrong?: ReactNode;
}

/** Yes or no. */
export function Switch({ label, selected, onChange, hint, wrong }: SwitchProps) {
  return (
    <SwitchField {...judged(wrong)} isSelected={selected} onChange={onChange} className="field">
      <SwitchButton className="switch">
        <span className="track" aria-hidden="true" />
        {label}
      </SwitchButton>
      {wrong !== undefined && <FieldError className="wrong">{wrong}</FieldError>}
      <Text slot="description" className="hint">
        {hint}
      </Text>
    </SwitchField>
  );
}

/** A dialog above the page. It is there while `open`; Escape, the cross and a press beside it close it. */
export function Dialog({ open, title, onClose, wide = false, children }: { open: boolean; title: string; onClose: () => void; wide?: boolean; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <ModalOverlay isOpen={open} onOpenChange={(open) => !open && onClose()} isDismissable className="overlay">
      <Modal className={wide ? 'modal wide' : 'modal'}>
        <AriaDialog className="dialog">
          <header>
            <Heading slot="title">{title}</Heading>
            <Button look="quiet" aria-label={t('common.close')} onPress={onClose}>
              <Icon name="cross" />
            </Button>
          </header>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}
