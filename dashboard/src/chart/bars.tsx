// Bars side by side, from nothing up. The sheet gives them their colours, so they change with the light by themselves.

export interface Bar {
  key: string;
  value: number;
  /** What it is, in words. */
  title: string;
}

interface Props {
  /** What is drawn, in words. */
  label: string;
  bars: readonly Bar[];
  format: (value: number) => string;
  /** What stands below the first and the last bar. */
  ends: readonly [string, string];
  onPress?: (key: string) => void;
}

export function Bars({ label, bars, format, ends, onPress }: Props) {
  const top = Math.max(1, ...bars.map((bar) => bar.value));
  const gap = bars.length > 60 ? 0.1 : 0.16;
  return (
    <figure className="bars">
      <div className="bars-scale" aria-hidden="true">
        <span>{format(top)}</span>
        <span>{top > 1 && format(top / 2)}</span>
        <span>0</span>
      </div>
      <svg viewBox={`0 0 ${bars.length} 100`} preserveAspectRatio="none" role="img" aria-label={label} data-bars={bars.length}>
        {bars.map((bar, i) => (
          <g key={bar.key} className={onPress && 'pressable'} onClick={onPress && (() => onPress(bar.key))}>
            <title>{bar.title}</title>
            <rect className="bar-ground" x={i} y={0} width={1} height={100} />
            <rect className="bar-value" x={i + gap / 2} y={100 - (100 * bar.value) / top} width={1 - gap} height={(100 * bar.value) / top} />
          </g>
        ))}
      </svg>
      <div className="bars-ends" aria-hidden="true">
        <span>{ends[0]}</span>
        <span>{ends[1]}</span>
      </div>
    </figure>
  );
}
