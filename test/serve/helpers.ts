import type { Limits } from '../../src/limits.ts';
import { type Answerer, Service, type ServiceOptions } from '../../src/serve/index.ts';
import { ImageTasks } from '../../src/tasks/index.ts';
import { tinyModel } from '../cli/helpers.ts';
import { withFolder } from '../helpers.ts';
import { randomPixels } from '../image/helpers.ts';
import { encodePng } from '../reference/png.ts';

/** A picture as a file, another for each seed. */
export function png(seed = 1, { width, height } = { width: 16, height: 12 }): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encodePng({ width, height, bitDepth: 8, colorType: 2, samples: randomPixels(width, height, 3, seed).data }));
}

/** Those of {@link tinyModel}, gone afterwards. */
export async function withTasks(body: (tasks: ImageTasks) => Promise<void>, options: { limits?: Limits } = {}): Promise<void> {
  await withFolder(async (folder) => {
    using tasks = await ImageTasks.open(await tinyModel(folder), options);
    await body(tasks);
  });
}

/** A service that fails the test for any error of its own. */
export function serviceOf(tasks: Answerer, options: ServiceOptions = {}): Service & { readonly errors: unknown[] } {
  const errors: unknown[] = [];
  return Object.assign(new Service(tasks, { onError: (error) => errors.push(error), ...options }), { errors });
}

/** A request with an image as its body. */
export function post(
  path: string,
  body: BodyInit | null = png(),
  headers: Record<string, string> = { 'content-type': 'image/png' },
): Request {
  return new Request(`http://localhost${path}`, { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
}

/** Answers when `open` is called, one request after the other, with the length of its image; until then all of them wait. */
export function gate(): { answerer: Answerer; open(): void; readonly seen: number } {
  const waiting: (() => void)[] = [];
  let seen = 0;
  const answerer: Answerer = {
    available: ['embed'],
    memory: 0,
    check() {},
    async embed() {
      throw new Error('expected no call');
    },
    async run(_, image, _request, { signal } = {}) {
      seen += 1;
      await new Promise<void>((resolve, reject) => {
        waiting.push(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason));
      });
      return { embedding: [(image as Uint8Array).length] } as never;
    },
  };
  return {
    answerer,
    open: () => waiting.shift()?.(),
    get seen() {
      return seen;
    },
  };
}

export const soon = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
