// Packs what Vite has built in .out into dist, every file beside its brotli and gzip forms, and says how large it is.
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const OUT = new URL('../.out/', import.meta.url).pathname;
const DIST = new URL('../dist/', import.meta.url).pathname;
/** The most bytes that a browser may have to fetch, all files together in their gzip forms. */
const MOST_BYTES = 900_000;

/** @param {Buffer} bytes */
const brotli = (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });

// dist/.gitignore stays: the server is compiled with the folder, whether anything is in it or not.
for (const entry of await readdir(DIST)) {
  if (entry !== '.gitignore') await rm(join(DIST, entry), { recursive: true });
}
let [plain, gz, br] = [0, 0, 0];
for (const entry of await readdir(OUT, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const from = join(entry.parentPath, entry.name);
  const to = join(DIST, from.slice(OUT.length));
  const bytes = await readFile(from);
  const packed = { gz: gzipSync(bytes, { level: 9 }), br: brotli(bytes) };
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to);
  await writeFile(`${to}.gz`, packed.gz);
  await writeFile(`${to}.br`, packed.br);
  [plain, gz, br] = [plain + bytes.length, gz + packed.gz.length, br + packed.br.length];
}
console.log(`dashboard: ${plain} bytes, ${gz} by gzip, ${br} by brotli`);
if (gz > MOST_BYTES) throw new Error(`the dashboard has ${gz} bytes by gzip, where ${MOST_BYTES} are allowed`);
