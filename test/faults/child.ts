// A process that makes a file, to be killed: by its own plan at an operation on the disk, or from outside once it has said that it begins.
import { pathToFileURL } from 'node:url';
import { type Action, act } from './act.ts';
import { onDisk, type Plan } from './disk.ts';

const { dist, action, plan } = JSON.parse(process.argv[2] as string) as { dist: string; action: Action; plan?: Plan };
const load = (path: string): Promise<unknown> => import(pathToFileURL(`${dist}/${path}`).href);
const library = await load('index.js');
const program = await load('cli/program.js');
process.send?.('begin');
const { result, operations } = await onDisk(plan, () => act(action, { library, program } as Parameters<typeof act>[1]));
process.send?.({ code: result.code, stderr: result.stderr, operations });
process.disconnect?.();
