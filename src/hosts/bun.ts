import type { Host } from './host.ts';
import { host as node } from './node.ts';

export const host: Host = { ...node, name: 'bun' };
