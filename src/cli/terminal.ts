import type { Writable } from 'node:stream';
import { Dinov2Error, HostError } from '../errors.ts';
import type { ProgressCallback } from '../hub/progress.ts';
import { type Limits, within } from '../limits.ts';

/** A stream, and whether a person looks at it. Its 'error' events have to be listened to: {@link Pipe} reports what fails in a write. */
export type Stream = Writable & { readonly isTTY?: boolean };

/** What a command has to do with the world beside files. */
export interface Terminal {
  /** Results. */
  readonly stdout: Stream;
  /** Everything else. */
  readonly stderr: Stream;
  /** Stops the work; nothing partial is left behind. */
  readonly signal: AbortSignal;
  /** Hears of downloads. */
  readonly onDownload?: ProgressCallback;
}

/** A stream whose reader may leave before the end, as `head` does: from then on nothing is written. */
export class Pipe {
  readonly #stream: Stream;
  #isOpen = true;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** @throws {HostError} when the text cannot be written, other than because nobody reads it */
  async write(text: string): Promise<void> {
    if (!this.#isOpen) return;
    const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => this.#stream.write(text, resolve));
    if (!error) return;
    this.#isOpen = false;
    if (error.code !== 'EPIPE')
      throw new HostError(`standard output: expected a place that can be written, found ${error.message}`, { cause: error });
  }
}

/** Does the work of a command, which `limits.seconds` stops as the terminal's signal does. */
export function inTime<T>(terminal: Terminal, limits: Limits | undefined, work: (terminal: Terminal) => Promise<T>): Promise<T> {
  return within('the command', { limits, signal: terminal.signal }, (signal = terminal.signal) => work({ ...terminal, signal }));
}

/**
 * One line about an error, for people. Errors of the library say what there is to say, but for the image at which they arose; others are
 * mistakes of ours.
 */
export function lineOf(error: unknown, image = ''): string {
  const message = error instanceof Dinov2Error ? error.message : `unexpected error: ${error}`;
  const advice = message.replace(/raise limits\.(\w+)/, 'raise it with --limit $1=VALUE');
  const text = message.includes(image) ? advice : `${image}: ${advice}`;
  return `dinov2: ${text.replace(/\s*\n\s*/g, ' ')}\n`;
}
