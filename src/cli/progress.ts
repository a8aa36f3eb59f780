import { MultiBar } from 'cli-progress';
import type { Stream } from './terminal.ts';

export interface Progress {
  /** One image more is done. */
  step(): void;
  /** Writes a line to where the progress is shown. */
  log(line: string): void;
  stop(): void;
}

/** Lines on stderr, below them a bar if wanted. */
export function showProgress(total: number, stderr: Stream, { bar: isWanted }: { bar: boolean }): Progress {
  if (!isWanted) return { step: () => {}, log: (line) => stderr.write(line), stop: () => {} };
  const bars = new MultiBar({
    stream: stderr,
    format: '{bar} {value} of {total} images, {eta_formatted} left',
    barsize: 30,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    gracefulExit: false, // a signal stops the work, and that the bar
  });
  const bar = bars.create(total, 0);
  return {
    step: () => bar.increment(),
    log: (line) => {
      bars.log(line);
      bars.update();
    },
    stop: () => bars.stop(),
  };
}
