import type { KernelResult } from '../kernels/kernels.ts';
import type { Differences } from '../models/accuracy.ts';
import type { Fresh } from '../models/fresh.ts';
import type { Heads } from '../models/heads.ts';
import type { Speed } from '../models/speed.ts';

/** Everything that was measured: what --json writes. */
export interface Report {
  readonly node: string;
  readonly cpu: string;
  /** ISO 8601. */
  readonly date: string;
  /** Of the kernels. */
  readonly build: string;
  accuracy?: Differences;
  /** On a full-size model. */
  accuracyOfEngines?: Differences;
  kernels?: readonly KernelResult[];
  readonly models: Speed[];
  heads?: Heads;
  fresh?: Fresh;
}
