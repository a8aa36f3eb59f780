import type { Thread, Threads } from './host.ts';

/** Module workers over shared memory, which a page has where it is cross-origin isolated; undefined elsewhere. */
export function webThreads(): Threads | undefined {
  if (!globalThis.crossOriginIsolated || typeof Worker === 'undefined' || typeof SharedArrayBuffer === 'undefined') return undefined;
  return { available: navigator.hardwareConcurrency, start: (data) => new WebThread(data), received };
}

class WebThread implements Thread {
  readonly #worker: Worker;
  #failure: Error | undefined;

  constructor(data: unknown) {
    this.#worker = new Worker(new URL('../runtime/thread.js', import.meta.url), { type: 'module' }); // in the form that bundlers look for
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault(); // whoever computes gets to know
      this.#failure ??= new Error(event.message || 'its script cannot be loaded');
    });
    this.#worker.postMessage(data);
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  stop(): void {
    this.#worker.terminate();
  }
}

function received(): Promise<unknown> {
  return new Promise((resolve) => {
    addEventListener('message', ({ data }) => resolve(data), { once: true });
  });
}
