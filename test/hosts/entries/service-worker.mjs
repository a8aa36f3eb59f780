import { AutoImageProcessor, AutoModelForImageClassification } from 'dinov2-wasm';
import { computeFetched } from '../program.mjs';

addEventListener('message', (event) => {
  const answer = computeFetched({ AutoImageProcessor, AutoModelForImageClassification }, location.href, event.data).catch((error) => ({
    error: String(error),
  }));
  event.waitUntil(answer.then((data) => event.ports[0].postMessage(data)));
});
