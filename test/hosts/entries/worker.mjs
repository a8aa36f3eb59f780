import { computeFetched } from '../program.mjs';

onmessage = async ({ data }) => postMessage(await computeFetched(location.href, data).catch((error) => ({ error: String(error) })));
