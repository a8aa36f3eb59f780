// npm run sbom: what the package consists of when it is installed, as CycloneDX, from the lock file alone. The same bytes wherever it is made.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const cwd = fileURLToPath(new URL('..', import.meta.url));
const { name } = JSON.parse(readFileSync(`${cwd}/package.json`, 'utf8'));
const kind = ['--sbom-format', 'cyclonedx', '--sbom-type', 'library', '--omit', 'dev', '--package-lock-only'];
const { serialNumber: _, ...sbom } = JSON.parse(execFileSync('npm', ['sbom', ...kind], { cwd, shell: process.platform === 'win32' }));
sbom.metadata.component.name = name; // npm takes that of the folder
delete sbom.metadata.timestamp;
const digest = createHash('sha256').update(JSON.stringify(sbom)).digest('hex');
const uuid = [digest.slice(0, 8), digest.slice(8, 12), `8${digest.slice(13, 16)}`, `8${digest.slice(17, 20)}`, digest.slice(20, 32)].join(
  '-',
);
const { $schema, bomFormat, specVersion, ...rest } = sbom;
console.log(JSON.stringify({ $schema, bomFormat, specVersion, serialNumber: `urn:uuid:${uuid}`, ...rest }, undefined, 2));
