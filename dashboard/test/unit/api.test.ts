import { expect, it } from 'vitest';
import { types, written } from '../../scripts/api.js';

it('has types that were made of the API as it is: `npm run api` makes them again', async () => {
  expect(await written()).toBe(await types());
});
