import { MultiBar, SingleBar } from 'cli-progress';
import type { ProgressCallback } from '../hub/progress.ts';
import type { Stream } from './terminal.ts';

export interface Progress {
  /** One more is done. */
  step(): void;
  /** Writes a line to where the progress is shown. */
  log(line: string): void;
  stop(): void;
}

/** Milliseconds from one line about the progress to the next. */
const LINES_APART = 10_000;

export interface ProgressOptions {
  readonly bar: boolean;
  /** Whether lines tell the progress where there is no bar. */
  readonly lines?: boolean;
  /** Default images. */
  readonly unit?: string;
}

/** Lines on stderr, below them a bar if wanted, which counts `unit`s, or with `lines` a line every ten seconds. */
export function showProgress(total: number, stderr: Stream, { bar: isWanted, lines = false, unit = 'images' }: ProgressOptions): Progress {
  const start = performance.now();
  let done = 0;
  const rate = (): number => (done * 1000) / Math.max(performance.now() - start, 1);
  const left = (): string => timeText((total - done) / rate());
  if (!isWanted && lines) {
    let last = start;
    const step = (): void => {
      done += 1;
      if (performance.now() - last < LINES_APART) return;
      last = performance.now();
      stderr.write(`dinov2: ${done} of ${total} ${unit}, ${rate().toFixed(1)} a second, ${left()} left\n`);
    };
    return { step, log: (line) => stderr.write(line), stop: () => {} };
  }
  if (!isWanted) return { step: () => {}, log: (line) => stderr.write(line), stop: () => {} };
  const bars = new MultiBar({
    stream: stderr,
    format: `{bar} {value} of {total} ${unit}, {rate} a second, {left} left`,
    barsize: 30,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    gracefulExit: false, // a signal stops the work, and that the bar
  });
  const bar = bars.create(total, 0, { rate: '-', left: '-' });
  bars.update();
  return {
    step: () => {
      done += 1;
      bar.increment({ rate: rate().toFixed(1), left: left() });
    },
    log: (line) => {
      bars.log(line);
      bars.update();
    },
    stop: () => bars.stop(),
  };
}

/** A time in seconds, as people say it. */
export function timeText(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export interface DownloadDisplay {
  readonly report: ProgressCallback;
  /** Takes away what is shown. Has to be called when a download ends before it is done. */
  stop(): void;
}

/** Bytes from which on a file is worth telling of. */
const LARGE = 1e6;

/** Downloads on stderr: a bar, or where nobody looks a line. */
export function showDownloads(stderr: Stream): DownloadDisplay {
  let file: string | undefined;
  let isShown = false;
  let bar: SingleBar | undefined;
  const show = (name: string, total: number): void => {
    isShown = true;
    const size = `${(total / 1e6).toFixed(1)} MB`;
    if (!stderr.isTTY) {
      stderr.write(`dinov2: downloading ${name}: ${file}, ${size}\n`);
      return;
    }
    bar = new SingleBar({
      stream: stderr,
      format: `{bar} {percentage} % of ${size}, {eta_formatted} left: ${name}: ${file}`,
      barsize: 30,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      clearOnComplete: true,
      gracefulExit: false,
    });
    bar.start(total, 0);
  };
  const stop = (): void => {
    bar?.stop();
    [file, isShown, bar] = [undefined, false, undefined];
  };
  const report: ProgressCallback = (info) => {
    if (info.status === 'download') file = info.file;
    else if (info.status === 'ready' || info.file !== file) return;
    else if (info.status === 'done') stop();
    else if (info.status === 'progress' && info.total >= LARGE) {
      if (!isShown) show(info.name, info.total);
      bar?.update(info.loaded);
    }
  };
  return { report, stop };
}
