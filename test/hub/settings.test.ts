import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, HostError } from '../../src/errors.ts';
import { readSettings, type SettingOptions } from '../../src/hub/settings.ts';
import { refuses } from '../helpers.ts';
import { withEnvironment } from './server.ts';

const HOME = join(homedir(), 'none-such');

/** One setting of the hub in an environment. */
async function settingIn(
  environment: Readonly<Record<string, string>>,
  name: 'endpoint' | 'token' | 'place' | 'offline',
  options: SettingOptions = {},
): Promise<unknown> {
  let value: unknown;
  await withEnvironment({ HOME, XDG_CACHE_HOME: '', ...environment }, async () => {
    value = (await readSettings(options))[name];
  });
  return value;
}

test('the cache is where the first of option, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME and XDG_CACHE_HOME says', async () => {
  const all = { HF_HUB_CACHE: '/1', HUGGINGFACE_HUB_CACHE: '/2', HF_HOME: '/3', XDG_CACHE_HOME: '/4' };
  const without = (...names: string[]) => Object.fromEntries(Object.entries(all).filter(([name]) => !names.includes(name)));
  assert.is(await settingIn(all, 'place', { cache_dir: '/0' }), '/0');
  assert.is(await settingIn(all, 'place'), '/1');
  assert.is(await settingIn(without('HF_HUB_CACHE'), 'place'), '/2');
  assert.is(await settingIn(without('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE'), 'place'), join('/3', 'hub'));
  assert.is(await settingIn({ XDG_CACHE_HOME: '/4' }, 'place'), join('/4', 'huggingface', 'hub'));
  assert.is(await settingIn({}, 'place'), join(HOME, '.cache', 'huggingface', 'hub'));
  assert.is(await settingIn({ HF_HOME: '~/models' }, 'place'), join(HOME, 'models', 'hub'));
  assert.is(await settingIn({ HF_HUB_CACHE: '~' }, 'place'), HOME);
  await refuses(() => settingIn({ HOME: '', USERPROFILE: '' }, 'place'), HostError, 'home folder', 'HF_HOME');
});

test('the endpoint is HF_ENDPOINT, with or without a slash', async () => {
  assert.is(await settingIn({}, 'endpoint'), 'https://huggingface.co');
  assert.is(await settingIn({ HF_ENDPOINT: 'http://localhost:1/hub//' }, 'endpoint'), 'http://localhost:1/hub');
  await refuses(() => settingIn({ HF_ENDPOINT: 'hub.example.org' }, 'endpoint'), ArgumentError, 'HF_ENDPOINT', '"hub.example.org"');
});

test('HF_HUB_OFFLINE is true as in Python', async () => {
  for (const value of ['1', 'ON', 'yes', 'True']) assert.is(await settingIn({ HF_HUB_OFFLINE: value }, 'offline'), true);
  for (const value of ['', '0', 'no', 'off']) assert.is(await settingIn({ HF_HUB_OFFLINE: value }, 'offline'), false);
  assert.is(await settingIn({}, 'offline', { local_files_only: true }), true);
});

test('a token with other characters is refused without being shown', async () => {
  assert.is(await settingIn({ HF_TOKEN: ' hf_abc\n' }, 'token'), 'hf_abc');
  assert.is(await settingIn({}, 'token'), undefined);
  let message = '';
  await settingIn({ HF_TOKEN: 'hf_abc def' }, 'token').catch((error: Error) => {
    message = error.message;
  });
  assert.match(message, 'token: expected');
  assert.not.match(message, 'abc');
});

test.run();
