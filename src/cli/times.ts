import type { ImageReader } from '../image/reader.ts';

/** Where the time of work on many images went, in seconds. */
export interface Times {
  readonly total: number;
  /** In threads beside the model: the sum over them. */
  readonly reading: number;
  readonly decoding: number;
  readonly model: number;
  /** For images that were not there yet. */
  readonly waiting: number;
}

/** Adds up the time of work on images, from now on. */
export class Stopwatch {
  readonly #start = performance.now();
  #model = 0;
  #waiting = 0;

  /** The work of the model. */
  model<T>(work: Promise<T>): Promise<T> {
    return timed(work, (seconds) => {
      this.#model += seconds;
    });
  }

  /** The wait for an image. */
  waiting<T>(work: Promise<T>): Promise<T> {
    return timed(work, (seconds) => {
      this.#waiting += seconds;
    });
  }

  times({ seconds }: ImageReader): Times {
    return { total: secondsSince(this.#start), ...seconds, model: this.#model, waiting: this.#waiting };
  }
}

/** For people. */
export function textOfTimes({ total, reading, decoding, model, waiting }: Times): string {
  const s = (seconds: number): string => `${seconds.toFixed(1)} s`;
  const share = total > 0 ? ` (${Math.round((100 * model) / total)} % of the time)` : '';
  return `${s(total)}: model ${s(model)}${share}, waited ${s(waiting)} for images, which were read in ${s(reading)} and decoded in ${s(decoding)}`;
}

async function timed<T>(work: Promise<T>, add: (seconds: number) => void): Promise<T> {
  const start = performance.now();
  try {
    return await work;
  } finally {
    add(secondsSince(start));
  }
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
