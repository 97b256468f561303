// Writes src/api/schema.d.ts from the description of the API that the server's tests hold: `npm run api`.
import { readFile, writeFile } from 'node:fs/promises';
import openapi, { astToString } from 'openapi-typescript';

const SNAPSHOT = new URL('../../crates/cli/tests/e2e/snapshots/e2e__callers__openapi.snap', import.meta.url);
const TYPES = new URL('../src/api/schema.d.ts', import.meta.url);

/** The types of the API, as they are to stand in the file. */
export async function types() {
  const snapshot = await readFile(SNAPSHOT, 'utf8');
  // A snapshot begins with two lines of dashes around what it is of.
  const json = snapshot.slice(snapshot.indexOf('\n---\n') + 5);
  const ast = await openapi(json);
  return `// Made by \`npm run api\`; do not edit.\n\n${astToString(ast)}`;
}

/** The types that stand in the file. */
export async function written() {
  return readFile(TYPES, 'utf8');
}

if (process.argv[1] === import.meta.filename) {
  await writeFile(TYPES, await types());
}
