import { host } from '#host';
import { IntegrityError } from '../errors.ts';
import type { Download, DownloadCache, RemoteFile } from '../hosts/host.ts';
import type { HubClient } from './client.ts';

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Is told the bytes that are here, at the start and after each piece. */
  readonly progress?: (loaded: number) => void;
}

/**
 * Brings a file into the cache, verified. What was broken off goes on where it stopped.
 * @throws {IntegrityError} when the content is another, of which nothing stays; the errors of the client and the cache
 */
export async function download(client: HubClient, cache: DownloadCache, file: RemoteFile, options: DownloadOptions = {}): Promise<void> {
  for (;;) {
    const target = await cache.begin(file, options.signal);
    if (!target) return;
    try {
      return await fill(target, client, file, options);
    } catch (error) {
      if (!target.isLost) throw error;
    } finally {
      await target.release();
    }
  }
}

async function fill(target: Download, client: HubClient, file: RemoteFile, options: DownloadOptions): Promise<void> {
  const { signal, progress } = options;
  if (target.size > file.size) await target.clear();
  const isResumed = target.size > 0;
  const hash = await host.downloads.hash(file.hash.length === 64 ? 'sha256' : 'sha1');
  if (file.hash.length === 40) hash.update(new TextEncoder().encode(`blob ${file.size}\0`)); // as git does
  for await (const bytes of target.read()) {
    signal?.throwIfAborted();
    hash.update(bytes);
  }
  progress?.(target.size);
  for await (const bytes of client.read(file, target.size, signal)) {
    await target.append(bytes);
    hash.update(bytes);
    progress?.(target.size);
  }
  const found = hash.digest();
  if (found === file.hash) return target.commit();
  await target.clear();
  if (isResumed) return fill(target, client, file, options); // it was the part from before that was damaged
  throw new IntegrityError(
    `${file.repo}: ${file.path}: expected content with hash ${file.hash}, found ${found}: it was changed on the way: download it again, without a proxy`,
  );
}
