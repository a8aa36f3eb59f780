import { host } from '#host';
import { ArgumentError, HostError, NetworkError, NotFoundError } from '../errors.ts';
import { describe } from '../files/json.ts';
import { type ModelSource, openSource, Source, staysInside } from '../files/source.ts';
import type { DownloadCache, RandomAccess, RemoteFile } from '../hosts/host.ts';
import { checkLimit, type Limits } from '../limits.ts';
import { checkSignal } from '../options.ts';
import { HubClient } from './client.ts';
import { download } from './download.ts';
import type { ProgressCallback } from './progress.ts';
import { readSettings, type SettingOptions } from './settings.ts';

/** Options about where a model comes from. All but `limits` are about the hub, and have no effect on other sources. */
export interface HubOptions extends SettingOptions {
  /** A branch, a tag or a commit. Default "main". */
  revision?: string;
  progress_callback?: ProgressCallback | undefined;
  /** Breaks downloads off; what is here stays and is gone on with. */
  signal?: AbortSignal | undefined;
  /** What is taken of the files at most; of these those of checkpoints and JSON, and by an image processor those of pictures. */
  limits?: Limits | undefined;
}

export const HUB_OPTIONS: readonly (keyof HubOptions)[] = [
  'revision',
  'token',
  'cache_dir',
  'local_files_only',
  'progress_callback',
  'signal',
  'limits',
];

/**
 * The files of a model. A string that is the path of a folder or file is that; another of the form "organisation/name" is a model on the
 * Hugging Face hub, of which each file is downloaded when it is opened, and the network is not used before.
 * @throws as {@link openSource}; {ArgumentError} naming a wrong option
 */
export async function openModel(source: ModelSource, options: HubOptions = {}): Promise<Source> {
  checkSignal(options.signal);
  if (typeof source !== 'string' || !isHubName(source)) return openSource(source, options.limits);
  if (host.files && (await host.files.kind(source)) !== 'none') return openSource(source, options.limits);
  return HubSource.open(source, options);
}

/** Options about the hub, and the others. */
export function splitOptions<T extends object>(options: T & HubOptions): { hub: HubOptions; rest: Omit<T, keyof HubOptions> } {
  const isHub = ([key]: [string, unknown]): boolean => (HUB_OPTIONS as readonly string[]).includes(key);
  const entries = Object.entries(options);
  return {
    hub: Object.fromEntries(entries.filter(isHub)),
    rest: Object.fromEntries(entries.filter((entry) => !isHub(entry))) as Omit<T, keyof HubOptions>,
  };
}

/** "organisation/name" as the hub allows it. */
function isHubName(text: string): boolean {
  return /^\w[\w.-]*\/\w[\w.-]*$/.test(text) && text.length <= 200 && !/--|\.\.|[.-](\/|$)/.test(text);
}

interface State {
  readonly commit: string;
  /** What the repository holds; undefined when only the cache was asked. */
  readonly files?: ReadonlyMap<string, RemoteFile>;
  /** Why the hub was not asked. */
  readonly problem?: Error;
}

class HubSource extends Source {
  readonly #repo: string;
  readonly #revision: string;
  readonly #client: HubClient;
  readonly #cache: DownloadCache;
  readonly #offline: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #report: ProgressCallback;
  readonly #reported = new Set<string>();
  #state: Promise<State> | undefined;
  /** Where the files are, when only the cache was asked. */
  #where = '';

  private constructor(repo: string, settings: Awaited<ReturnType<typeof readSettings>>, options: HubOptions) {
    const { revision = 'main', progress_callback, signal, limits } = options;
    super(limits);
    this.#repo = repo;
    this.#revision = revision;
    this.#client = new HubClient(settings);
    this.#cache = host.downloads.cache(settings.place);
    this.#offline = settings.offline;
    this.#signal = signal;
    this.#report = progress_callback ?? (() => {});
  }

  static async open(repo: string, options: HubOptions): Promise<HubSource> {
    const { revision = 'main' } = options;
    if (typeof revision !== 'string' || !staysInside(revision)) {
      throw new ArgumentError(`revision: expected a branch, a tag or a commit, found ${describe(revision)}`);
    }
    return new HubSource(repo, await readSettings(options), options);
  }

  get name(): string {
    return this.#repo + (this.#revision === 'main' ? '' : ` at ${this.#revision}`) + this.#where;
  }

  async has(file: string): Promise<boolean> {
    if (await this.#isHeldForGood(file)) return true;
    const { commit, files } = await this.#resolve();
    return files ? files.has(file) : this.#isHeld(commit, file);
  }

  async list(): Promise<readonly string[]> {
    const { commit, files } = await this.#resolve();
    return files ? [...files.keys()].filter((file) => !file.includes('/')).sort() : this.#cache.list(this.#repo, commit);
  }

  async open(file: string): Promise<RandomAccess> {
    const isFirst = !this.#reported.has(file);
    this.#reported.add(file);
    const report = (status: 'initiate' | 'download' | 'done'): void => {
      if (isFirst) this.#report({ status, name: this.#repo, file });
    };
    report('initiate');
    const opened = (await this.#openForGood(file)) ?? (await this.#openResolved(file, () => report('download')));
    report('done');
    return opened;
  }

  async #openResolved(file: string, onDownload: () => void): Promise<RandomAccess> {
    const { commit, files, problem } = await this.#resolve();
    const remote = files?.get(file);
    if (files && !remote) throw new NotFoundError(`${this.name}: expected a model with ${file}, found no such file on the hub`);
    let opened = await this.#cache.open(this.#repo, commit, file);
    if (opened && remote && opened.size !== remote.size) {
      await opened.close(); // damaged
      opened = undefined;
    }
    if (!opened) {
      if (!remote) throw problem ?? this.#missing(`${file} of it`);
      checkLimit(`${this.name}: ${file}`, 'checkpointBytes', this.limits, 'a file of * bytes', remote.size);
      onDownload();
      await download(this.#client, this.#cache, remote, { signal: this.#signal, progress: (loaded) => this.#progress(remote, loaded) });
      opened = await this.#cache.open(this.#repo, commit, file);
      if (!opened) throw new HostError(`${this.#cache.name}: expected ${file} of ${this.name}, which was just put there, found none`);
    }
    if (commit !== this.#revision && files) {
      await this.#cache.setCommit(this.#repo, this.#revision, commit).catch(() => {}); // only a help for when there is no network
    }
    return opened;
  }

  /** A commit does not change: what is here of it need not be asked for. */
  async #openForGood(file: string): Promise<RandomAccess | undefined> {
    return !this.#state && isCommit(this.#revision) ? this.#cache.open(this.#repo, this.#revision, file) : undefined;
  }

  async #isHeldForGood(file: string): Promise<boolean> {
    return !this.#state && isCommit(this.#revision) && this.#isHeld(this.#revision, file);
  }

  async #isHeld(commit: string, file: string): Promise<boolean> {
    const opened = await this.#cache.open(this.#repo, commit, file);
    await opened?.close();
    return opened !== undefined;
  }

  /** Asks once, so that all files are of one commit. */
  #resolve(): Promise<State> {
    this.#state ??= this.#ask().catch((error: unknown) => {
      this.#state = undefined;
      throw error;
    });
    return this.#state;
  }

  async #ask(): Promise<State> {
    if (this.#offline) {
      const commit = await this.#knownCommit();
      if (commit === undefined) throw this.#missing('it');
      this.#where = ` in ${this.#cache.name}, without network`;
      return { commit };
    }
    const known = await this.#knownCommit();
    const attempts = known === undefined ? {} : { attempts: 2 };
    try {
      return await this.#client.describe(this.#repo, this.#revision, { signal: this.#signal, ...attempts });
    } catch (problem) {
      if (known === undefined || !(problem instanceof NetworkError)) throw problem;
      this.#where = ` in ${this.#cache.name}, as the hub does not answer`;
      return { commit: known, problem }; // the last one known is better than none
    }
  }

  /** The commit that was asked for last, if anything of it is here. */
  async #knownCommit(): Promise<string | undefined> {
    const commit = isCommit(this.#revision) ? this.#revision : await this.#cache.commitOf(this.#repo, this.#revision);
    return commit !== undefined && (await this.#cache.list(this.#repo, commit)).length > 0 ? commit : undefined;
  }

  #missing(what: string): NotFoundError {
    return new NotFoundError(
      `${this.#repo}: expected ${what} in ${this.#cache.name}, found none: the network is not used because of local_files_only or ` +
        'HF_HUB_OFFLINE: load the model once without them',
    );
  }

  #progress({ path, size }: RemoteFile, loaded: number): void {
    this.#report({ status: 'progress', name: this.#repo, file: path, progress: size ? (loaded / size) * 100 : 100, loaded, total: size });
  }
}

function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}
