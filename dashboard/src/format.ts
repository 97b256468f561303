// Numbers, bytes and lengths of time as people read them, in their language.

const formatters = new Map<string, Intl.NumberFormat>();

/** A formatter is dear to make and cheap to use, and a table has a thousand figures. */
function formatter(locale: string, options: Intl.NumberFormatOptions = {}): Intl.NumberFormat {
  const key = locale + JSON.stringify(options);
  const known = formatters.get(key) ?? new Intl.NumberFormat(locale, options);
  formatters.set(key, known);
  return known;
}

/** Bytes, in powers of 1000. */
export function bytes(count: number, locale: string): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
  const power = Math.min(Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)), units.length - 1);
  const value = count / 1000 ** power;
  const options = { style: 'unit', unit: units[power] ?? 'byte', unitDisplay: 'short', maximumFractionDigits: value < 10 && power > 0 ? 1 : 0 } as const;
  return formatter(locale, options).format(value);
}

/** A count, with its thousands set apart. */
export function count(value: number, locale: string): string {
  return formatter(locale).format(value);
}

/** A figure of a model: four digits that mean something, and not more than a table has room for. */
export function figure(value: number | undefined, locale: string): string {
  if (value === undefined || !Number.isFinite(value)) return '–';
  const large = Math.abs(value) >= 1000;
  const options = large ? { maximumFractionDigits: 1 } : { minimumSignificantDigits: 4, maximumSignificantDigits: 4 };
  return formatter(locale, options).format(value);
}

/** A part of a whole, in per cent. */
export function share(value: number, locale: string): string {
  return formatter(locale, { style: 'percent', maximumFractionDigits: Math.abs(value) < 0.1 ? 1 : 0 }).format(value);
}

/** A length of time, in its two largest units: `1 h 12 min`, `3.4 s`, `12 ms`. */
export function duration(ms: number, locale: string): string {
  const unit = (value: number, unit: string, digits = 0) =>
    formatter(locale, { style: 'unit', unit, unitDisplay: 'narrow', maximumFractionDigits: digits }).format(value);
  const seconds = ms / 1000;
  if (ms < 1000) return unit(Math.round(Math.max(0, ms)), 'millisecond');
  if (seconds < 10) return unit(seconds, 'second', 1);
  if (seconds < 60) return unit(Math.round(seconds), 'second');
  const [minutes, rest] = [Math.floor(seconds / 60), Math.floor(seconds % 60)];
  if (minutes < 60) return `${unit(minutes, 'minute')} ${unit(rest, 'second')}`;
  const [hours, left] = [Math.floor(minutes / 60), minutes % 60];
  if (hours < 24) return `${unit(hours, 'hour')} ${unit(left, 'minute')}`;
  return `${unit(Math.floor(hours / 24), 'day')} ${unit(hours % 24, 'hour')}`;
}

/** Federation time, counted from the journal's beginning: `0:03:12.4`. */
export function clock(ms: number): string {
  const tenths = Math.floor(ms / 100);
  const two = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes, seconds] = [Math.floor(tenths / 36_000), Math.floor(tenths / 600) % 60, Math.floor(tenths / 10) % 60];
  return `${hours}:${two(minutes)}:${two(seconds)}.${tenths % 10}`;
}

/** How many rows a client says that it has. */
export function rows(facts: Record<string, unknown>): number | undefined {
  const value = facts['rows'];
  return typeof value === 'number' ? value : undefined;
}

/** The beginning of a digest, as much as tells two apart. */
export function short(digest: string): string {
  return digest.slice(0, 12);
}

/** A table as a CSV file's text: RFC 4180. A text that a spreadsheet would take for a formula is marked as a text. */
export function csv(table: readonly (readonly (string | number | undefined)[])[]): string {
  const cell = (value: string | number | undefined) => {
    if (typeof value !== 'string') return value === undefined ? '' : String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return table.map((row) => row.map(cell).join(',') + '\r\n').join('');
}

/** For `JSON.stringify`: a number of 32 bits in as few digits as tell it from others, as it was written (0.01 for 0.009999999776…). */
export function shortest(_: string, value: unknown): unknown {
  if (typeof value !== 'number' || Math.fround(value) !== value) return value;
  for (let digits = 1; digits <= 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
