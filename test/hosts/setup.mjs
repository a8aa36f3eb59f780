// Installs the hosts, bundlers and checkers, which are packages of this folder only, where they are missing or out of date.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const INSTALLED = path('node_modules/.package-lock.json');

if (!existsSync(INSTALLED) || statSync(INSTALLED).mtimeMs < statSync(path('package-lock.json')).mtimeMs) {
  console.error('Installing hosts and bundlers ...');
  // their scripts would download what comes as packages of its own
  const args = ['ci', '--prefix', path('.'), '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status } = spawnSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' });
  if (status !== 0) process.exit(status ?? 1);
}
