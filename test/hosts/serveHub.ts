// A hub on this machine that has the demonstration model, as "demo/model"; its address is printed. Until the standard input ends.
import { readFileSync } from 'node:fs';
import { HubServer } from '../hub/server.ts';

const hub = await HubServer.start();
const names = ['config.json', 'preprocessor_config.json', 'model.safetensors'];
hub.push('demo/model', Object.fromEntries(names.map((name) => [name, readFileSync(new URL(`../../weights/${name}`, import.meta.url))])));
console.log(hub.url);
for await (const _ of process.stdin);
await hub.stop();
