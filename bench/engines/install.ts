import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));

/** Whether the packages of the peers are there, in the versions of their lock file. */
export function hasPeers(): boolean {
  const { dependencies } = JSON.parse(readFileSync(`${FOLDER}package.json`, 'utf8')) as { dependencies: Record<string, string> };
  return Object.entries(dependencies).every(([name, version]) => {
    const file = `${FOLDER}node_modules/${name}/package.json`;
    return statSync(file, { throwIfNoEntry: false }) !== undefined && JSON.parse(readFileSync(file, 'utf8')).version === version;
  });
}

/** The peers have a package of their own, so that the library does not depend on them. Where they cannot be had, their rows are left out. */
export function installPeers(): void {
  if (hasPeers()) return;
  console.error('Installing the peers ...');
  spawnSync('npm', ['ci', '--prefix', FOLDER], { stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' });
  if (!hasPeers()) console.error('The peers could not be installed: they are left out.');
}
