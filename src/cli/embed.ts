import type { ProcessorOutput } from '../image/processor.ts';
import { AutoModel } from '../index.ts';
import { embed, type Pooling } from '../tasks/index.ts';
import { type BatchOptions, runBatch } from './batch.ts';
import { FORMATS, firstValues } from './results.ts';
import type { Terminal } from './terminal.ts';

export interface EmbedOptions extends BatchOptions {
  /** Default cls. */
  readonly pooling?: Pooling;
}

/** `dinov2 embed`: one vector an image. See {@link runBatch}. */
export function embedImages(inputs: readonly string[], options: EmbedOptions, terminal: Terminal): Promise<number> {
  const { pooling = 'cls' } = options;
  return runBatch(inputs, options, terminal, {
    formats: FORMATS,
    async open({ source, loading, processor, reader }) {
      const model = await AutoModel.from_pretrained(source, loading);
      return {
        ahead: reader.ahead,
        prepare: (image) => reader.process(processor, image, { signal: loading.signal }),
        async run(image, { pixel_values }: ProcessorOutput) {
          const { last_hidden_state } = await model({ pixel_values }, { signal: loading.signal });
          const tensor = embed(last_hidden_state, { pooling, registers: model.config.registers }).at(0); // (width)
          return {
            image,
            tensor,
            fields: () => ({ embedding: tensor.tolist() }),
            text: `${image}  [${tensor.dims}]  ${firstValues(tensor)}`,
          };
        },
        dispose: () => model.dispose(),
      };
    },
  });
}
