import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Files, type HubServer, status, withHub } from '../hub/server.ts';
import { dinov2, Recorder, type Workplace, withWorkplace } from './helpers.ts';

const REPO = 'acme/tiny';

/** A hub with the model of the workplace, and a checkpoint of at least 1.2 MB beside it. */
async function withModelOnHub(body: (hub: HubServer, place: Workplace) => Promise<void>): Promise<void> {
  await withWorkplace(async (place) => {
    await withHub(async (hub) => {
      const files: Files = Object.fromEntries(readdirSync(place.model).map((name) => [name, readFileSync(join(place.model, name))]));
      hub.push(REPO, { ...files, 'model.safetensors': padded(files['model.safetensors'] as Buffer, 1_200_000) });
      await body(hub, place);
    });
  });
}

/** The same tensors, with spaces in the header, which safetensors allows. */
function padded(file: Buffer, spaces: number): Buffer {
  const length = Number(file.readBigUInt64LE());
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(length + spaces));
  return Buffer.concat([size, file.subarray(8, 8 + length), Buffer.alloc(spaces, ' '), file.subarray(8 + length)]);
}

test('a model of the hub gives what its folder gives, and its download is told', () =>
  withModelOnHub(async (hub, { model, picture }) => {
    const image = picture('a.png');
    for (const command of ['embed', 'classify', 'features', 'inspect']) {
      const local = await dinov2([command, image, '--model', model]);
      const remote = await dinov2([command, image, '--model', REPO]);
      if (command !== 'inspect') assert.is(remote.stdout, local.stdout);
      assert.is(remote.code, 0);
      assert.is(remote.stderr, command === 'embed' ? `dinov2: downloading ${REPO}: model.safetensors, 1.2 MB\n` : '');
    }
    assert.is(hub.count('model.safetensors'), 1);
  }));

test('who looks sees a bar, which is gone in the end', () =>
  withModelOnHub(async (_, { picture }) => {
    const stderr = new Recorder({ isTTY: true });
    const { code } = await dinov2(['embed', picture('a.png'), '--model', REPO], { stderr });
    assert.is(code, 0);
    assert.not.match(stderr.text, 'downloading');
  }));

test('--revision and --offline', () =>
  withModelOnHub(async (hub, { picture }) => {
    const args = ['embed', picture('a.png'), '--model', REPO];
    const offline = await dinov2([...args, '--offline']);
    assert.is(offline.code, 1);
    assert.match(offline.stderr, /^dinov2: acme\/tiny: expected it in .*found none/);
    hub.tag(REPO, 'v1');
    const online = await dinov2([...args, '--revision', 'v1']);
    const before = hub.asked.length;
    assert.is((await dinov2([...args, '--revision', 'v1', '--offline'])).stdout, online.stdout);
    assert.is(hub.asked.length, before);
    assert.match((await dinov2([...args, '--revision', 'v2'])).stderr, 'revision "v2"');
  }));

test('a download that fails ends the command with what to do', () =>
  withModelOnHub(async (hub, { picture }) => {
    hub.misbehave('model.safetensors', status(403));
    const { code, stdout, stderr } = await dinov2(['embed', picture('a.png'), '--model', REPO]);
    assert.equal([code, stdout], [1, '']);
    assert.match(stderr, /\ndinov2: [^\n]*HTTP status 403[^\n]*set HF_TOKEN[^\n]*\n$/);
  }));

test.run();
