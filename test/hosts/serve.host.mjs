// The service in every host: as a handler of requests, the same answers as in Node; as the command, where there is node:http.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bundle, FOR_WORKERD, miniflareWorker } from './bundlers.mjs';
import { askService } from './program.mjs';
import { application, on, PHOTOS, PROGRAMS, run } from './tools.mjs';

const PHOTO = join(PHOTOS, 'rocket.jpg');
/** What lets each run a script. */
const COMMANDS = {
  'node 24': [PROGRAMS['node 24']],
  'node 26': [PROGRAMS['node 26']],
  bun: [PROGRAMS.bun],
  deno: [PROGRAMS.deno, 'run', '--allow-all', '--cached-only'],
};

let expected;

/** What it answers in this Node. */
function answers() {
  expected ??= askAsScript([process.execPath]);
  return expected;
}

async function askAsScript([program, ...args]) {
  const { folder } = await application();
  const { stdout } = await run(program, [...args, 'entries/service.mjs', PHOTO], { cwd: folder, maxBuffer: 2 ** 24, timeout: 120_000 });
  return JSON.parse(stdout);
}

test('in Node what is right is answered, and what is wrong refused', async () => {
  const found = await answers();
  assert.equal(
    found.slice(0, -1).map(([path, status]) => [path, status]),
    [
      ['/embed?pooling=both', 200],
      ['/classify?top=3', 200],
      ['/classify?top=2', 200],
      ['/embed', 422],
      ['/embed', 400],
      ['/embed', 415],
      ['/search', 404],
    ],
  );
  assert.is(found[0][2].embedding.length, 384);
  assert.equal(found[2][2].labels, found[1][2].labels.slice(0, 2));
});

for (const [name, command] of Object.entries(COMMANDS)) {
  on(name)(`${name}: the same answers`, async () => assert.equal(await askAsScript(command), await answers()));
}

test('workerd: the same answers, also to several at once', async () => {
  const worker = await miniflareWorker(await bundle('esbuild', ['service-workerd'], FOR_WORKERD), 'service-workerd');
  try {
    const photo = readFileSync(PHOTO);
    assert.equal(await askService(worker.fetch, photo), await answers());
    const several = await Promise.all([1, 2, 3].map(() => askService(worker.fetch, photo)));
    for (const each of several) assert.equal(each, await answers());
  } finally {
    await worker.close();
  }
});

for (const [name, command] of Object.entries({ 'this node': [process.execPath], ...COMMANDS })) {
  (name === 'this node' ? test : on(name))(`${name}: dinov2 serve answers and ends as it should`, async () => {
    const { folder } = await application();
    const args = ['node_modules/dinov2-wasm/dist/cli/main.js', 'serve', '--port', '0', '--build', 'simd', '--threads', '1'];
    const child = spawn(command[0], [...command.slice(1), ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
    const url = await new Promise((resolve, reject) => {
      child.stderr.on('data', (piece) => {
        stderr += piece;
        const [, found] = /^dinov2: (http:\S+) answers/m.exec(stderr) ?? [];
        if (found) resolve(found);
      });
      void ended.then(() => reject(new Error(stderr)));
    });
    try {
      const ask = (address, init) => fetch(address.replace('http://localhost', url), init);
      assert.equal(await askService(ask, readFileSync(PHOTO)), await answers());
    } finally {
      child.kill('SIGTERM');
    }
    assert.equal(await ended, { code: 0, signal: null }, stderr);
  });
}

test.run();
