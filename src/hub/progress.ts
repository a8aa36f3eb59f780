/** What becomes of one file, as transformers.js reports it. */
export type ProgressInfo = FileProgress | LoadProgress | ReadyProgress;

export interface FileProgress {
  /** A file is wanted; it is not here and has been asked for; it is here. */
  status: 'initiate' | 'download' | 'done';
  /** Of the model. */
  name: string;
  file: string;
}

export interface LoadProgress {
  status: 'progress';
  /** Of the model. */
  name: string;
  file: string;
  /** Percent. */
  progress: number;
  /** Bytes. */
  loaded: number;
  /** Bytes. */
  total: number;
}

/** All that was asked for is loaded. */
export interface ReadyProgress {
  status: 'ready';
  /** Of the pipeline; none for a model alone. */
  task?: string;
  /** Of the model. */
  model: string;
}

export type ProgressCallback = (info: ProgressInfo) => void;
