import type { Downloads } from './host.ts';
import { PieceCache, type PieceStore } from './pieceCache.ts';
import { sha } from './sha.ts';

/** Keys of a Cache are URLs: a host that there is not, so that they cannot be those of a page. */
const BASE = 'https://dinov2-wasm.invalid/';

/** Downloads on hosts without files: kept by the Cache API where there is one, which a page has on https and localhost only. */
export const webDownloads: Downloads = {
  setting: () => undefined,
  cache: (place) => new PieceCache(globalThis.caches ? cacheStore(globalThis.caches, place) : memoryStore()),
  hash: async (algorithm) => sha(algorithm),
};

/** A Cache of this name. */
export function cacheStore(storage: CacheStorage, place: string): PieceStore {
  const cache = storage.open(place);
  cache.catch(() => {}); // whoever uses it gets to know
  const url = (key: string): string => BASE + key.split('/').map(encodeURIComponent).join('/');
  const locks = globalThis.navigator?.locks as LockManager | undefined;
  return {
    name: `the cache ${JSON.stringify(place)} of this browser`,
    has: async (key) => (await (await cache).match(url(key))) !== undefined,
    get: async (key) => bytesOf(await (await cache).match(url(key))),
    put: async (key, bytes) => (await cache).put(url(key), new Response(new Uint8Array(bytes))),
    delete: async (key) => {
      await (await cache).delete(url(key));
    },
    keys: async (prefix) => {
      const requests = await (await cache).keys();
      const keys = requests.map((request) => request.url.slice(BASE.length).split('/').map(decodeURIComponent).join('/'));
      return keys.filter((key) => key.startsWith(prefix));
    },
    ...(locks && {
      lock: async (name, work, signal) => {
        await locks.request(`dinov2-wasm ${place} ${name}`, { ...(signal && { signal }) }, work);
      },
    }),
  };
}

/** For one use: what is in it goes with it. */
export function memoryStore(): PieceStore {
  const pieces = new Map<string, Uint8Array>();
  return {
    name: 'memory',
    has: async (key) => pieces.has(key),
    get: async (key) => pieces.get(key),
    put: async (key, bytes) => void pieces.set(key, bytes),
    delete: async (key) => void pieces.delete(key),
    keys: async (prefix) => [...pieces.keys()].filter((key) => key.startsWith(prefix)),
  };
}

async function bytesOf(response: Response | undefined): Promise<Uint8Array | undefined> {
  return response && new Uint8Array(await response.arrayBuffer());
}
