import type { Host } from './host.ts';
import { webDownloads } from './webDownloads.ts';

/** A host that has what web standards say and no files. */
export function webHost(name: string): Host {
  return {
    name,
    threads: undefined,
    files: undefined,
    downloads: webDownloads,
    pause,
    embeddedModel: new URL(`../../weights/`, moduleUrl),
  };
}

// Not in the form `new URL('...', import.meta.url)`, at which bundlers copy the weights into every bundle.
const moduleUrl = import.meta.url ?? 'dinov2-wasm:/dist/hosts/web.js';

/** As a message to oneself, where there are any: timers of browsers wait for 4 ms. */
function pause(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof MessageChannel === 'undefined') {
      setTimeout(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
