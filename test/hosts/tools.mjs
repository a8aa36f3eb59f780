import { execFile } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'uvu';

export const run = promisify(execFile);

export const HERE = fileURLToPath(new URL('.', import.meta.url));
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const PHOTOS = join(ROOT, 'examples/photos');
const MODULES = join(HERE, 'node_modules');

/** The programs of the hosts, undefined where one is not there. */
export const PROGRAMS = {
  'node 24': file(MODULES, 'node-24/bin/node'),
  'node 26': file(MODULES, 'node-26/bin/node'),
  deno: inScope('@deno', 'deno'),
  bun: inScope('@oven', 'bin/bun'),
  chromium: process.env.CHROMIUM ?? file('/usr/bin', 'chromium'),
  firefox: process.env.FIREFOX ?? file('/usr/bin', 'firefox-esr'),
};

/** Of what the packages of this folder bring, a module: they are not among the project's own. */
export const installed = (path) => join(MODULES, path);

/** What makes a test that needs a program: passed over, saying so, where that is not there. */
export function on(program) {
  if (PROGRAMS[program]) return test;
  return (name, body) => {
    console.log(`not run, because ${program} is not installed: ${name}`);
    test.skip(name, body);
  };
}

function file(...parts) {
  const path = join(...parts);
  return existsSync(path) ? path : undefined;
}

/** A program out of the one package of a scope that is for this platform. */
function inScope(scope, path) {
  const folder = join(MODULES, scope);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.map((name) => file(folder, name, path)).find(Boolean);
}

/** What `npm install dinov2-wasm` gives in an empty folder: the folder. Packed and installed once. */
export function application() {
  packed ??= pack();
  return packed;
}

let packed;

async function pack() {
  const folder = await temporary();
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT });
  const [{ filename }] = JSON.parse(stdout);
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${filename}`], { cwd: folder });
  await cp(join(HERE, 'entries'), join(folder, 'entries'), { recursive: true });
  await cp(join(HERE, 'program.mjs'), join(folder, 'program.mjs'));
  return { folder, tarball: join(folder, filename), package: join(folder, 'node_modules/dinov2-wasm') };
}

const folders = [];
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is gone when the process ends. */
export async function temporary() {
  const folder = await mkdtemp(join(tmpdir(), 'dinov2-hosts-'));
  folders.push(folder);
  return folder;
}

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

/** Serves files of a folder, with these headers, on a port of its own; `requests` are the paths that were asked for. */
export async function serve(folder, headers = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname).replace(/\/$/, '/index.html');
    requests.push(path);
    try {
      const body = await readFile(join(folder, path));
      response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream', ...headers }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://localhost:${server.address().port}/`,
    requests,
    close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  };
}

/** The weights and photographs, and a page with one script, beside what a bundler made. */
export async function webFolder(folder, script) {
  const { package: library } = await application();
  await mkdir(folder, { recursive: true });
  await cp(join(library, 'weights'), join(folder, 'weights'), { recursive: true });
  await cp(PHOTOS, join(folder, 'photos'), { recursive: true });
  await writeFile(join(folder, 'index.html'), `<!doctype html><meta charset="utf-8"><script type="module" src="${script}"></script>\n`);
}
