import { webHost } from './web.ts';

export const host = webHost('browser');
