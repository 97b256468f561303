import { expect, it } from 'vitest';
import { SseParser } from '../../src/journal/sse';

const STREAM = ': hello\n\nid: 1\nevent: client_joined\ndata: {"a":1}\n\n:\n\nid: 2\ndata: two\ndata: lines\n\nid:3\r\ndata:tight\r\n\r\nid: 4\ndata: cut off';
const MESSAGES = [
  { id: '1', data: '{"a":1}' },
  { id: '2', data: 'two\nlines' },
  { id: '3', data: 'tight' },
];

it('reads messages, and neither comments nor what is not whole yet', () => {
  expect(new SseParser().push(STREAM)).toEqual(MESSAGES);
});

it('reads the same in pieces of any length', () => {
  for (let length = 1; length < STREAM.length; length += 1) {
    const parser = new SseParser();
    const read = [];
    for (let at = 0; at < STREAM.length; at += length) read.push(...parser.push(STREAM.slice(at, at + length)));
    expect(read).toEqual(MESSAGES);
  }
});
