// Time travel: a slider over the journal. Every screen shows the moment that it stands at.
import { useEffect, useState } from 'react';
import { Slider, SliderThumb, SliderTrack } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { clock, count } from '../format';
import type { Entry } from '../journal/entry';
import { Button } from './controls';
import { Icon } from './icon';
import { EventWords } from './words';

/** How many steps a whole journal takes when it is played, and how long each of them. */
const STEPS = 240;
const STEP_MS = 250;

interface Props {
  at: number;
  /** How many events the journal has. */
  length: number;
  /** The event that is stood at, if it is at hand. */
  entry: Entry | undefined;
  /** Federation time at that moment, in milliseconds. */
  time: number;
  onMove: (at: number) => void;
  onLeave: () => void;
}

export function TimeBar({ at, length, entry, time, onMove, onLeave }: Props) {
  const { t, i18n } = useTranslation();
  const [playing, setPlaying] = useState(false);
  const move = (to: number) => onMove(Math.min(Math.max(to, 1), length));
  const ended = at >= length;

  useEffect(() => {
    if (!playing || ended) return;
    const timer = setTimeout(() => onMove(Math.min(at + Math.max(1, Math.round(length / STEPS)), length)), STEP_MS);
    return () => clearTimeout(timer);
  }, [playing, ended, at, length, onMove]);

  const play = () => {
    if (ended) onMove(1);
    setPlaying(ended || !playing);
  };
  return (
    <section className="time-bar" aria-label={t('past.title')} data-at={at}>
      <div className="time-row">
        <Button look="quiet" aria-label={playing && !ended ? t('past.pause') : t('past.play')} onPress={play}>
          <Icon name={playing && !ended ? 'pause' : 'play'} />
        </Button>
        <Button look="quiet" aria-label={t('past.back')} isDisabled={at <= 1} onPress={() => move(at - 1)}>
          <Icon name="back" />
        </Button>
        <Slider className="slider" aria-label={t('past.slider')} minValue={1} maxValue={Math.max(length, 2)} value={at} onChange={move}>
          <SliderTrack className="slider-track">
            {({ state }) => (
              <>
                <progress className="progress" value={state.getThumbPercent(0)} max={1} aria-hidden="true" />
                <SliderThumb className="slider-thumb" />
              </>
            )}
          </SliderTrack>
        </Slider>
        <Button look="quiet" aria-label={t('past.forward')} isDisabled={ended} onPress={() => move(at + 1)}>
          <Icon name="forward" />
        </Button>
        <Button onPress={onLeave}>{t('past.now')}</Button>
      </div>
      <p className="time-words">
        <strong>{t('past.event', { at: count(at, i18n.language), length: count(length, i18n.language) })}</strong> <time>{clock(time)}</time>{' '}
        {entry !== undefined && <EventWords record={entry.record} />}
      </p>
    </section>
  );
}
