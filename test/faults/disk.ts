import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { devNull } from 'node:os';

/** What goes wrong at one of the operations that change files. */
export interface Plan {
  /** Which operation, from 0. */
  readonly at: number;
  /**
   * `kill`: SIGKILL before it; `half`: SIGKILL after half of its bytes; `full`: half of its bytes are written, and no more are from then on;
   * `fails`: it alone does not succeed; `gone`: neither does any after it, be it to clear away.
   */
  readonly what: 'kill' | 'half' | 'full' | 'fails' | 'gone';
}

type Operation = (this: unknown, ...args: unknown[]) => Promise<unknown>;

const OF_FILES = ['open', 'writeFile', 'appendFile', 'rename', 'rm', 'mkdir', 'symlink', 'link', 'copyFile', 'truncate'] as const;
const OF_HANDLES = ['write', 'writeFile', 'appendFile', 'truncate', 'sync'] as const;
/** What a full disk lets pass. */
const FREES: readonly string[] = ['rm', 'rename', 'truncate', 'sync'];

/**
 * Runs `body` on node:fs/promises with what the plan says going wrong.
 * @param begun is called before the first operation that changes files
 * @returns what it gives, and the operations that change files: of each whether it writes bytes
 */
export async function onDisk<T>(
  plan: Plan | undefined,
  body: () => Promise<T>,
  begun: () => void = () => {},
): Promise<{ result: T; operations: readonly boolean[] }> {
  const operations: boolean[] = [];
  const disk = fs as unknown as Record<string, Operation>;
  const probe = await fs.open(devNull, 'r');
  const handles = Object.getPrototypeOf(probe) as Record<string, Operation>;
  await probe.close();
  const restore: (() => void)[] = [];
  const wrap = (target: Record<string, Operation>, name: string): void => {
    const original = target[name] as Operation;
    restore.push(() => {
      target[name] = original;
    });
    target[name] = async function (...args) {
      const reads = name === 'open' && (args[1] === undefined || args[1] === 'r');
      if (!reads && operations.length === 0) begun();
      const number = reads ? -1 : operations.push(args[0] instanceof Uint8Array) - 1;
      if (!plan || number < plan.at) return original.apply(this, args);
      const { at, what } = plan;
      if (number > at && (what === 'fails' || (what === 'full' && FREES.includes(name)))) return original.apply(this, args);
      if (number === at && what === 'full' && FREES.includes(name)) return original.apply(this, args);
      if (what === 'half' || what === 'full') await writeHalf(original, this as FileHandle, args);
      if (what === 'kill' || what === 'half') {
        process.kill(process.pid, 'SIGKILL');
        await new Promise(() => {});
      }
      const code = what === 'full' ? 'ENOSPC' : 'EIO';
      throw Object.assign(new Error(`${code}: injected at operation ${number}, ${name}`), { code, syscall: name });
    };
  };
  for (const name of OF_FILES) wrap(disk, name);
  for (const name of OF_HANDLES) wrap(handles, name);
  syncBuiltinESMExports();
  try {
    return { result: await body(), operations };
  } finally {
    for (const back of restore) back();
    syncBuiltinESMExports();
  }
}

/** Half of the bytes that an operation on a handle would write. */
async function writeHalf(original: Operation, handle: FileHandle, [data, offset, length, position]: unknown[]): Promise<void> {
  if (!(data instanceof Uint8Array)) return;
  if (typeof offset !== 'number') await original.call(handle, data.subarray(0, Math.floor(data.length / 2)));
  else await original.call(handle, data, offset, Math.floor((length as number) / 2), position);
}

const READS_OF_FILES = ['open', 'stat', 'readFile'] as const;

/**
 * Runs `body`, and calls `change` before the operation that reads number `at`, from 0.
 * @returns what it gives, and how many operations there were that read
 */
export async function beforeRead<T>(at: number, change: () => void, body: () => Promise<T>): Promise<{ result: T; reads: number }> {
  let reads = 0;
  const probe = await fs.open(devNull, 'r');
  const handles = Object.getPrototypeOf(probe) as Record<string, Operation>;
  await probe.close();
  const targets = [
    ...READS_OF_FILES.map((name) => [fs as unknown as Record<string, Operation>, name] as const),
    [handles, 'read'] as const,
  ];
  const restore = targets.map(([target, name]) => {
    const original = target[name] as Operation;
    target[name] = function (...args) {
      if (reads++ === at) change();
      return original.apply(this, args);
    };
    return () => {
      target[name] = original;
    };
  });
  syncBuiltinESMExports();
  try {
    return { result: await body(), reads };
  } finally {
    for (const back of restore) back();
    syncBuiltinESMExports();
  }
}
