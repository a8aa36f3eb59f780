import { Writable } from 'node:stream';
import { run } from '../../src/cli/program.ts';
import { AutoModel } from '../../src/index.ts';

/** What writes files, in the current folder: a command, or for what no command does a call of the library. */
export type Action = { readonly args: readonly string[] } | { readonly call: 'saveShards' };

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function act(action: Action): Promise<Outcome> {
  if ('call' in action) {
    const model = await AutoModel.from_pretrained('model');
    try {
      await model.save_pretrained('shards', { max_shard_size: 2000 });
      return { code: 0, stdout: '', stderr: '' };
    } catch (error) {
      return { code: 1, stdout: '', stderr: String(error) };
    } finally {
      model.dispose();
    }
  }
  const [stdout, stderr] = [new Text(), new Text()];
  const code = await run(action.args, { stdout, stderr, signal: new AbortController().signal });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

class Text extends Writable {
  text = '';

  constructor() {
    super({ decodeStrings: false });
  }

  override _write(chunk: string, _: BufferEncoding, done: () => void): void {
    this.text += chunk;
    done();
  }
}
