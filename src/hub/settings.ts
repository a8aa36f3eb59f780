import { host } from '#host';
import { ArgumentError, HostError } from '../errors.ts';
import { describe } from '../files/json.ts';

export interface Settings {
  /** The address of the hub, without a slash at the end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  /** As {@link Downloads.cache} takes it. */
  readonly place: string;
  /** Whether the network is not to be used. */
  readonly offline: boolean;
}

export interface SettingOptions {
  /** `false` sends none. Default HF_TOKEN, or what `hf auth login` left in the file HF_TOKEN_PATH (default HF_HOME/token). */
  token?: string | false;
  /** A folder or, on hosts without files, the name of a cache. Default as in Python: HF_HUB_CACHE, or HF_HOME/hub, or ~/.cache/huggingface/hub. */
  cache_dir?: string;
  /** Whether only what is in the cache is used. HF_HUB_OFFLINE=1 has the same effect. */
  local_files_only?: boolean;
}

/**
 * What options say, and what the environment says as for Python's huggingface_hub (its documentation: "Environment variables").
 * @throws {ArgumentError} naming what is wrong; {HostError} where the user has no folder for a cache
 */
export async function readSettings({ token, cache_dir, local_files_only = false }: SettingOptions): Promise<Settings> {
  return {
    endpoint: readEndpoint(),
    token: token === false ? undefined : checkToken(token ?? setting('HF_TOKEN') ?? (await readTokenFile())),
    place: readPlace(cache_dir),
    offline: local_files_only || /^(1|on|yes|true)$/i.test(setting('HF_HUB_OFFLINE') ?? ''),
  };
}

function readEndpoint(): string {
  const endpoint = setting('HF_ENDPOINT') ?? 'https://huggingface.co';
  if (!/^https?:\/\/[^/]/.test(endpoint))
    throw new ArgumentError(`HF_ENDPOINT: expected an http or https URL, found ${describe(endpoint)}`);
  return endpoint.replace(/\/+$/, '');
}

function readPlace(cache_dir: string | undefined): string {
  if (cache_dir !== undefined && (typeof cache_dir !== 'string' || cache_dir === '')) {
    throw new ArgumentError(`cache_dir: expected a name, found ${describe(cache_dir)}`);
  }
  if (cache_dir !== undefined) return cache_dir;
  if (!host.files) return 'dinov2-wasm';
  const given = setting('HF_HUB_CACHE') ?? setting('HUGGINGFACE_HUB_CACHE');
  return given === undefined ? host.files.join(huggingFaceHome(), 'hub') : withHome(given);
}

async function readTokenFile(): Promise<string | undefined> {
  const { files } = host;
  if (!files) return undefined;
  const path = setting('HF_TOKEN_PATH') ?? (hasHome() ? files.join(huggingFaceHome(), 'token') : undefined);
  if (path === undefined || (await files.kind(withHome(path))) !== 'file') return undefined;
  const file = await files.open(withHome(path));
  try {
    return new TextDecoder().decode(await file.read(0, file.size)).trim() || undefined;
  } finally {
    await file.close();
  }
}

/** @throws {ArgumentError}, which does not repeat it: it is a secret */
function checkToken(token: string | undefined): string | undefined {
  const text = typeof token === 'string' ? token.trim() : token;
  if (text !== undefined && !(typeof text === 'string' && /^[\x21-\x7e]+$/.test(text))) {
    throw new ArgumentError('token: expected letters and digits as on the page of access tokens, found something else');
  }
  return text;
}

function huggingFaceHome(): string {
  const given = setting('HF_HOME');
  if (given !== undefined) return withHome(given);
  const join = host.files?.join ?? ((...parts: string[]) => parts.join('/'));
  return join(withHome(setting('XDG_CACHE_HOME') ?? '~/.cache'), 'huggingface');
}

function hasHome(): boolean {
  return [setting('HF_HOME'), setting('XDG_CACHE_HOME'), home()].some((folder) => folder !== undefined);
}

function home(): string | undefined {
  return setting('HOME') ?? setting('USERPROFILE');
}

/** With the user's home in place of "~". */
function withHome(path: string): string {
  if (!/^~(?=[\\/]|$)/.test(path)) return path;
  const folder = home();
  if (folder === undefined) throw new HostError(`${host.name}: expected a home folder for ${path}, found none: give cache_dir or HF_HOME`);
  return folder + path.slice(1);
}

function setting(name: string): string | undefined {
  return host.downloads.setting(name);
}
