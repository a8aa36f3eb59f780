// What `npm start` and `npm test` do first: install the packages and build, each only where it is missing or out of date. Needs Node and npm, nothing else.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const INSTALLED = 'node_modules/.package-lock.json';
const BUILT = 'dist/.built';

if (!isNewer(INSTALLED, ['package-lock.json'])) run('Installing packages', ['ci', '--no-audit', '--no-fund']);
if (!isNewer(BUILT, [...filesIn('assembly'), ...filesIn('src'), 'asconfig.json', 'tsconfig.json', 'package.json', INSTALLED])) {
  run('Building the kernels and the library', ['run', '--silent', 'build']);
  linkCommand();
  writeFileSync(BUILT, '');
}

function run(what, args) {
  console.error(`${what} ...`);
  const start = performance.now();
  const { status, error } = spawnSync('npm', args, { stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32' });
  if (error) console.error(`${what}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
  console.error(`${what}: done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/** npm links the commands of other packages only: with this `npx dinov2-wasm` works here as it does where the package is installed. */
function linkCommand() {
  const [command, file] = ['node_modules/.bin/dinov2', 'dist/cli/main.js'];
  if (process.platform === 'win32') return;
  chmodSync(file, 0o755);
  rmSync(command, { force: true });
  symlinkSync(`../../${file}`, command);
}

function isNewer(file, sources) {
  return existsSync(file) && sources.every((source) => statSync(source).mtimeMs <= statSync(file).mtimeMs);
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath ?? entry.path}/${entry.name}`);
}
