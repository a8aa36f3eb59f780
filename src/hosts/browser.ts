import type { Host } from './host.ts';
import { webHost } from './web.ts';
import { webThreads } from './webThreads.ts';

export const host: Host = { ...webHost('browser'), threads: webThreads() };
