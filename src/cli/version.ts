import { readFileSync } from 'node:fs';

/** That of package.json. */
export function packageVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8'); // the same place from src/ and from dist/
  return (JSON.parse(manifest) as { version: string }).version;
}
