import { expect, it } from 'vitest';
import { tokenIn } from '../../src/link';

it('finds the token in a fragment', () => {
  expect(tokenIn('#token=0f3a')).toBe('0f3a');
  expect(tokenIn('#other=1&token=0f3a')).toBe('0f3a');
  expect([tokenIn(''), tokenIn('#'), tokenIn('#token='), tokenIn('#main')]).toEqual([undefined, undefined, undefined, undefined]);
});
