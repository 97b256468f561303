// A federation's whole journal, line by line, as it comes from the server.
import { send, under } from '../api/client';
import { texts } from './feed';

export async function* journalLines(federation: string): AsyncGenerator<string> {
  const response = await send('GET', under(federation, 'journal'));
  if (response.body === null) return;
  let rest = '';
  for await (const piece of texts(response.body)) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}
