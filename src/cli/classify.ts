import { AutoModelForImageClassification } from '../index.ts';
import { type Classification, classify, labelScores } from '../tasks/index.ts';
import { type BatchOptions, runBatch } from './batch.ts';
import { FORMATS } from './results.ts';
import type { Terminal } from './terminal.ts';

export interface ClassifyOptions extends BatchOptions {
  /** Labels an image, in text and JSON; files of tensors have the scores of all. Default 5. */
  readonly top?: number;
}

/** `dinov2 classify`: the labels with the highest scores. See {@link runBatch}. */
export function classifyImages(inputs: readonly string[], options: ClassifyOptions, terminal: Terminal): Promise<number> {
  const { top = 5, exifOrientation } = options;
  return runBatch(inputs, options, terminal, {
    formats: FORMATS,
    async open({ source, loading, processor }) {
      const model = await AutoModelForImageClassification.from_pretrained(source, loading);
      return {
        async run(image) {
          const { pixel_values } = await processor(image, { exifOrientation });
          const { logits } = await model({ pixel_values }, { signal: loading.signal });
          const [labels = []] = classify(logits, model.config, { topK: top });
          const tensor = labelScores(logits, model.config).at(0); // (labels)
          return { image, tensor, fields: () => ({ labels }), text: [image, ...labels.map(lineOfLabel)].join('\n') };
        },
        dispose: () => model.dispose(),
      };
    },
  });
}

function lineOfLabel({ label, score }: Classification): string {
  return `  ${(score * 100).toFixed(1).padStart(5)} %  ${label}`;
}
