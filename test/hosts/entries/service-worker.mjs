import { computeFetched } from '../program.mjs';

addEventListener('message', (event) => {
  const answer = computeFetched(location.href, event.data).catch((error) => ({ error: String(error) }));
  event.waitUntil(answer.then((data) => event.ports[0].postMessage(data)));
});
