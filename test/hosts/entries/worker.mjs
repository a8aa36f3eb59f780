import { computeFetched } from '../program.mjs';

addEventListener('message', async ({ data }) => {
  postMessage(await computeFetched(location.href, data).catch((error) => ({ error: String(error) })));
});
