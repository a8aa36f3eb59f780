// npm run reproducible: builds and packs twice, in fresh folders of other names, with other time zones, languages and file masks; every byte has to
// be the same. No package may need its install script. npm run release -- FOLDER: puts what came out there, with the SBOM and checksums.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const shell = process.platform === 'win32';
const [output] = process.argv.slice(2);
if (output !== undefined && git('status', '--porcelain') !== '') {
  console.error('npm run release: expected all changes to be committed, found others: a release is made of a commit');
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'dinov2-release-'));
try {
  const first = build('a', { TZ: 'UTC', LC_ALL: 'C' }, 0o022);
  const second = build('another-folder', { TZ: 'Pacific/Auckland', LC_ALL: 'en_US.UTF-8' }, 0o077);
  const names = [...new Set([...first.keys(), ...second.keys()])].sort();
  const different = names.filter((name) => first.get(name) !== second.get(name));
  for (const name of different)
    console.log(`${name}: ${first.get(name) ?? 'not there'} in one build, ${second.get(name) ?? 'not there'} in the other`);
  console.log(`reproducible: ${names.length - different.length} of ${names.length} files are the same in two builds`);
  if (different.length > 0) process.exitCode = 1;
  else if (output !== undefined) release(output);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The SHA-256 of each file of dist, and of the tarball. */
function build(name, variables, mask) {
  const place = join(folder, name);
  const before = process.umask(mask);
  try {
    for (const path of git('ls-files', '-z', '--cached', '--others', '--exclude-standard').split('\0').filter(isThere)) {
      mkdirSync(dirname(join(place, path)), { recursive: true });
      cpSync(join(ROOT, path), join(place, path));
    }
    const env = { ...process.env, ...variables };
    npm(place, env, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline');
    npm(place, env, 'run', 'build');
    // npm keeps the permissions, but for those of commands
    for (const path of filesIn(place).filter((path) => !path.startsWith('node_modules'))) chmodSync(join(place, path), 0o644);
    npm(place, env, 'pack', '--ignore-scripts');
  } finally {
    process.umask(before);
  }
  const paths = [
    ...filesIn(join(place, 'dist')).map((path) => `dist/${path}`),
    ...readdirSync(place).filter((path) => path.endsWith('.tgz')),
  ];
  return new Map(paths.map((path) => [path, sha256(readFileSync(join(place, path)))]));
}

function release(target) {
  mkdirSync(target, { recursive: true });
  const { name, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const files = new Map([
    [`${name}-${version}.tgz`, readFileSync(join(folder, 'a', `${name}-${version}.tgz`))],
    [`${name}-${version}.cdx.json`, execFileSync(process.execPath, [join(ROOT, '.ci/sbom.mjs')])],
  ]);
  files.set('SHA256SUMS', [...files].map(([file, bytes]) => `${sha256(bytes)}  ${file}\n`).join(''));
  for (const [file, bytes] of files) {
    writeFileSync(join(target, file), bytes);
    console.log(join(target, file));
  }
}

function npm(cwd, env, ...args) {
  const { status, stderr, stdout } = spawnSync('npm', args, { cwd, env, shell, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: ended with ${status}\n${stdout}\n${stderr}`);
}

function git(...args) {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 });
}

function isThere(path) {
  return path !== '' && readdirSync(join(ROOT, dirname(path))).includes(path.split('/').at(-1));
}

function filesIn(root) {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1));
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
