import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { RemoteFile } from '../../src/hosts/host.ts';
import { withFolder } from '../helpers.ts';

/** What a request for a file has come to. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly content: Buffer;
  /** Answers as a server should, with this content. */
  serve(content?: Buffer, options?: { ranges?: boolean }): void;
}

/** One wrong answer. */
export type Fault = (exchange: Exchange) => void;

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

interface Repo {
  readonly commit: string;
  readonly files: ReadonlyMap<string, Buffer>;
  readonly token: string | undefined;
}

export type Files = Readonly<Record<string, Uint8Array | string>>;

/**
 * A hub on this machine, with the routes of the real one as far as they are used, also by Python's huggingface_hub: files of weights are
 * redirected to another server, which is to see no token.
 */
export class HubServer {
  /** In the order in which they came. */
  readonly asked: Asked[] = [];
  readonly #hub: Server;
  readonly #content: Server;
  readonly #repos = new Map<string, Repo>();
  readonly #faults = new Map<string, Fault[]>();

  private constructor() {
    this.#hub = createServer((request, response) => shared(request, response, () => this.#answer(request, response)));
    this.#content = createServer((request, response) => shared(request, response, () => this.#deliver(request, response)));
  }

  static async start(): Promise<HubServer> {
    const server = new HubServer();
    for (const each of [server.#hub, server.#content]) await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
    return server;
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#content]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  get url(): string {
    return addressOf(this.#hub);
  }

  /** Makes these the files of the branch main. @returns the commit */
  push(repo: string, files: Files, { token }: { token?: string } = {}): string {
    const contents = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content as string)]));
    const commit = hex('sha1', ...[...contents].flatMap(([path, content]) => [Buffer.from(path), content]));
    for (const revision of ['main', commit]) this.#repos.set(`${repo}@${revision}`, { commit, files: contents, token });
    return commit;
  }

  /** A branch or tag where main is now. */
  tag(repo: string, revision: string): void {
    this.#repos.set(`${repo}@${revision}`, this.#repos.get(`${repo}@main`) as Repo);
  }

  /** As the hub describes it. */
  file(repo: string, path: string): RemoteFile {
    const { commit, files } = this.#repos.get(`${repo}@main`) as Repo;
    const content = files.get(path) as Buffer;
    return { repo, commit, path, size: content.length, hash: isLarge(path) ? hex('sha256', content) : gitHash(content) };
  }

  /** Answers the next requests for the content of a file, or for the description of any model ("api"), wrongly. */
  misbehave(what: string, ...faults: readonly Fault[]): void {
    this.#faults.set(what, [...(this.#faults.get(what) ?? []), ...faults]);
  }

  /** How often the content of a file was asked for. */
  count(path: string): number {
    return this.asked.filter((asked) => asked.method === 'GET' && asked.path.endsWith(`/${path}`) && !asked.path.includes('/resolve/'))
      .length;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = this.#note(request);
    const [, repo = '', revision = ''] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/([^/]+)$/.exec(pathname) ?? [];
    const [, owner = '', at = '', path = ''] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname) ?? [];
    const found = this.#repos.get(`${repo || owner}@${decodeURIComponent(revision || at)}`);
    const isKnown = [...this.#repos.keys()].some((key) => key.startsWith(`${repo || owner}@`));
    const isAllowed = found?.token === undefined || request.headers.authorization === `Bearer ${found.token}`;
    if (!isKnown || !isAllowed) fail(response, 401, 'RepoNotFound', 'Invalid username or password.');
    else if (!found) fail(response, 404, 'RevisionNotFound', 'Invalid rev id');
    else if (repo) this.#exchange('api', request, response, Buffer.from(describe(found)), 'application/json');
    else this.#resolve(request, response, { owner, found, path });
  }

  #resolve(request: IncomingMessage, response: ServerResponse, { owner, found, path }: { owner: string; found: Repo; path: string }): void {
    const content = found.files.get(decodeURIComponent(path));
    if (!content) {
      fail(response, 404, 'EntryNotFound', 'Entry not found');
      return;
    }
    response.setHeader('X-Repo-Commit', found.commit);
    const target = `/content/${owner}/${found.commit}/${path}`;
    if (isLarge(path)) {
      response.setHeader('X-Linked-Size', content.length).setHeader('X-Linked-Etag', `"${hex('sha256', content)}"`);
      response.writeHead(302, { location: addressOf(this.#content, 'localhost') + target, 'content-length': 0 }).end();
      return;
    }
    this.asked.push({ ...(this.asked.at(-1) as Asked), path: target });
    response.setHeader('ETag', `"${gitHash(content)}"`);
    this.#exchange(decodeURIComponent(path), request, response, content, 'text/plain; charset=utf-8');
  }

  #deliver(request: IncomingMessage, response: ServerResponse): void {
    const [, repo = '', commit = '', path = ''] = /^\/content\/([^/]+\/[^/]+)\/([^/]+)\/(.+)$/.exec(this.#note(request).pathname) ?? [];
    const content = this.#repos.get(`${repo}@${commit}`)?.files.get(path);
    if (!content) fail(response, 404, 'NotFound', 'no such content');
    else this.#exchange(path, request, response, content, 'application/octet-stream');
  }

  #note({ method = '', url = '', headers }: IncomingMessage): URL {
    const parsed = new URL(url, this.url);
    this.asked.push({ method, path: parsed.pathname, range: headers.range, authorization: headers.authorization });
    return parsed;
  }

  #exchange(what: string, request: IncomingMessage, response: ServerResponse, content: Buffer, type: string): void {
    const serve: Exchange['serve'] = (bytes = content, { ranges = true } = {}) => {
      const from = ranges ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? Number.NaN) : Number.NaN;
      response.setHeader('content-type', type);
      const part = Number.isNaN(from) ? bytes : bytes.subarray(from);
      if (!Number.isNaN(from)) response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
      response.writeHead(Number.isNaN(from) ? 200 : 206, { 'content-length': part.length });
      response.end(request.method === 'HEAD' ? undefined : part);
    };
    const fault = request.method === 'GET' ? this.#faults.get(what)?.shift() : undefined;
    if (fault) fault({ request, response, content, serve });
    else serve();
  }
}

/** A hub, with an environment that knows no other and a cache of its own. */
export async function withHub(body: (hub: HubServer, place: { cache: string; home: string }) => Promise<void>): Promise<void> {
  const hub = await HubServer.start();
  try {
    await withFolder(async (home) => {
      const cache = join(home, 'hub');
      mkdirSync(cache);
      await withEnvironment({ HF_ENDPOINT: hub.url, HF_HOME: home }, () => body(hub, { cache, home }));
    });
  } finally {
    await hub.stop();
  }
}

const SETTINGS = ['HF_ENDPOINT', 'HF_HOME', 'HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE', 'HF_HUB_OFFLINE', 'HF_TOKEN', 'HF_TOKEN_PATH'];

/** With these settings for the hub and no others. */
export async function withEnvironment(settings: Readonly<Record<string, string>>, body: () => Promise<void>): Promise<void> {
  const names = [...new Set([...SETTINGS, ...Object.keys(settings)])];
  const before = names.map((name) => [name, process.env[name]] as const);
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const name of names) set(name, settings[name]);
  try {
    await body();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}

/** A web page with status 200. */
export const html: Fault = ({ response }) => {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html><title>My app</title>');
};

/** The same, not saying so. */
export const disguisedHtml: Fault = ({ serve }) => serve(Buffer.from('<!doctype html><title>My app</title>'));

export function status(code: number, headers: Readonly<Record<string, string>> = {}): Fault {
  return ({ response }) => response.writeHead(code, headers).end();
}

export function flipped(at: number): Fault {
  return ({ content, serve }) => {
    const bytes = Buffer.from(content);
    bytes[at] = (bytes[at] as number) ^ 1;
    serve(bytes);
  };
}

/** Says the right length and closes after so many bytes. */
export function cut(bytes: number): Fault {
  return ({ request, response, content }) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const headers = { 'content-length': content.length - from, 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` };
    response.writeHead(request.headers.range ? 206 : 200, headers);
    response.write(content.subarray(from, from + bytes), () => setTimeout(() => response.destroy(), 20));
  };
}

/** Sends a piece every few milliseconds. */
export function drip({ pieces, pause }: { pieces: number; pause: number }): Fault {
  return ({ response, content }) => {
    response.writeHead(200, { 'content-length': content.length });
    const size = Math.ceil(content.length / pieces);
    const send = (at: number): void => {
      if (at >= content.length) response.end();
      else response.write(content.subarray(at, at + size), () => setTimeout(() => send(at + size), pause));
    };
    send(0);
  };
}

/** Sends a part, and then nothing. */
export function stalled(bytes: number): Fault {
  return ({ response, content }) => {
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, bytes));
  };
}

function describe({ commit, files }: Repo): string {
  const siblings = [...files].map(([rfilename, content]) => ({
    rfilename,
    size: content.length,
    blobId: gitHash(content),
    ...(isLarge(rfilename) && { lfs: { sha256: hex('sha256', content), size: content.length, pointerSize: 134 } }),
  }));
  return JSON.stringify({ sha: commit, siblings });
}

/** Lets pages of other origins read the answer, as the hub does. */
function shared(request: IncomingMessage, response: ServerResponse, answer: () => void): void {
  response.setHeader('access-control-allow-origin', '*').setHeader('access-control-expose-headers', 'ETag, Content-Range, X-Error-Message');
  if (request.method === 'OPTIONS') response.writeHead(204, { 'access-control-allow-headers': 'authorization, range' }).end();
  else answer();
}

function fail(response: ServerResponse, code: number, error: string, message: string): void {
  response.writeHead(code, { 'x-error-code': error, 'x-error-message': message }).end();
}

function isLarge(path: string): boolean {
  return /\.(safetensors|bin|pth)$/.test(path);
}

function gitHash(content: Buffer): string {
  return hex('sha1', Buffer.from(`blob ${content.length}\0`), content);
}

function hex(algorithm: string, ...parts: readonly Buffer[]): string {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

function addressOf(server: Server, host = '127.0.0.1'): string {
  return `http://${host}:${(server.address() as AddressInfo).port}`;
}
