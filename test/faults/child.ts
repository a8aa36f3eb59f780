// A process that makes a file, to be killed: by its own plan at an operation on the disk, or from outside once it has said that it begins.
import { type Action, act } from './act.ts';
import { onDisk, type Plan } from './disk.ts';

const { action, plan } = JSON.parse(process.argv[2] as string) as { action: Action; plan?: Plan };
const begun = (): void => void (process.connected && process.send?.('begun'));
const { result, operations } = await onDisk(plan, () => act(action), begun);
if (process.connected) process.send?.({ code: result.code, stderr: result.stderr, operations });
if (process.connected) process.disconnect();
