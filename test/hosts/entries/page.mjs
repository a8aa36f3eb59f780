// For browsers: the same on a page, in a worker and in a service worker, each asked by a message.
import { AutoImageProcessor, AutoModelForImageClassification } from 'dinov2-wasm';
import { computeFetched } from '../program.mjs';

const library = { AutoImageProcessor, AutoModelForImageClassification };

globalThis.onPage = (request) => computeFetched(library, location.href, request);

globalThis.inWorker = (request) =>
  new Promise((resolve, reject) => {
    const worker = new Worker('worker.js', { type: 'module' });
    worker.onerror = (event) => reject(new Error(event.message));
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
    worker.postMessage(request);
  });

globalThis.inServiceWorker = async (request) => {
  await navigator.serviceWorker.register('service-worker.js');
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((resolve, reject) => {
    port1.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
  });
  active.postMessage(request, [port2]);
  return answer;
};
