import type { ProgressInfo } from '../hub/progress.ts';
import type { ImageInput } from '../image/rawImage.ts';
import type { SentError } from '../sentErrors.ts';
import type { ImageTask, ImageTaskRequests, ImageTaskResults, ImageTasksOptions, Pooling } from '../tasks/index.ts';

/** What a thread is started with. */
export interface ThreadStart {
  readonly source: string | URL;
  readonly options: Omit<ImageTasksOptions, 'signal' | 'progress_callback' | 'decode' | 'reader'>;
  /** URL of a module whose `decode` reads pictures. */
  readonly decoder?: string | undefined;
}

/** What it is asked, by a number that its answer has too. */
export type Question =
  | { readonly id: number; readonly task: ImageTask; readonly image: ImageInput; readonly request: ImageTaskRequests[ImageTask] }
  | { readonly id: number; readonly vector: Pooling; readonly image: ImageInput }
  | { readonly id: number; readonly abort: true };

/** What it says. */
export type Message =
  | { readonly progress: ProgressInfo }
  | { readonly available: readonly ImageTask[]; readonly memory: number }
  | { readonly id: number; readonly result: ImageTaskResults[ImageTask] | Float32Array; readonly memory: number }
  | { readonly id?: number; readonly error: SentError };
