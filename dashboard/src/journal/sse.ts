// Server-sent events out of a body that comes in pieces: https://html.spec.whatwg.org/multipage/server-sent-events.html

export interface Message {
  id: string;
  data: string;
}

/** Keeps what of a message has come. */
export class SseParser {
  private rest = '';

  /** The messages that a piece completes. Comments and what has no data are left out. */
  push(piece: string): Message[] {
    const blocks = (this.rest + piece).split(/\r?\n\r?\n/);
    this.rest = blocks.pop() ?? '';
    return blocks.map(message).filter((message) => message.data !== '');
  }
}

function message(block: string): Message {
  let id = '';
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    const [field, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    if (field === 'id') id = value;
    if (field === 'data') data.push(value);
  }
  return { id, data: data.join('\n') };
}
