import type { Host, Threads } from './host.ts';
import { NodeThread, host as node } from './node.ts';

const threads: Threads = { ...(node.threads as Threads), start: (data) => new NodeThread(data) }; // whose loop cannot be asked

export const host: Host = { ...node, name: 'deno', threads };
