import { AutoImageProcessor, AutoModelForImageClassification } from 'dinov2-wasm';
import { computeFetched } from '../program.mjs';

addEventListener('message', async ({ data }) => {
  postMessage(
    await computeFetched({ AutoImageProcessor, AutoModelForImageClassification }, location.href, data).catch((error) => ({
      error: String(error),
    })),
  );
});
