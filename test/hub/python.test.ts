import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AutoModel } from '../../src/models/auto.ts';
import { modelFiles } from './helpers.ts';
import { withHub } from './server.ts';

/** A Python with the package huggingface_hub. */
const PYTHON = process.env.DINOV2_PYTHON;
const REPO = 'acme/tiny';
const WANTED = ['config.json', 'model.safetensors'];

/** The sizes of the model's files, downloaded by Python. */
async function pythonLoads(environment: Readonly<Record<string, string>> = {}): Promise<number[]> {
  const code = `
import os
from huggingface_hub import hf_hub_download, scan_cache_dir
print(*[os.path.getsize(hf_hub_download("${REPO}", file)) for file in ${JSON.stringify(WANTED)}])
assert not scan_cache_dir().warnings, scan_cache_dir().warnings`;
  const env = { ...process.env, HF_HUB_DISABLE_TELEMETRY: '1', HF_HUB_DISABLE_XET: '1', ...environment };
  const { stdout } = await promisify(execFile)(PYTHON as string, ['-c', code], { env });
  return stdout.trim().split(' ').map(Number);
}

(PYTHON ? test : test.skip)('Python finds what was downloaded here, and the other way round', async () => {
  const files = await modelFiles();
  const sizes = WANTED.map((file) => (files[file] as Uint8Array).length);
  await withHub(async (hub) => {
    hub.push(REPO, files);
    (await AutoModel.from_pretrained(REPO)).dispose();
    assert.equal(await pythonLoads({ HF_HUB_OFFLINE: '1' }), sizes);
  });
  await withHub(async (hub) => {
    hub.push(REPO, files);
    assert.equal(await pythonLoads(), sizes);
    (await AutoModel.from_pretrained(REPO, { local_files_only: true })).dispose();
    (await AutoModel.from_pretrained(REPO)).dispose();
    assert.is(hub.count('model.safetensors'), 1);
  });
});

test.run();
