// Installs BullMQ, a package of this folder only, where it is missing or out of date.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const INSTALLED = path('node_modules/.package-lock.json');

if (!existsSync(INSTALLED) || statSync(INSTALLED).mtimeMs < statSync(path('package-lock.json')).mtimeMs) {
  console.error('Installing BullMQ ...');
  const args = ['ci', '--prefix', path('.'), '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status } = spawnSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' });
  if (status !== 0) process.exit(status ?? 1);
}
