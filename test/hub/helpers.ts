import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BitImageProcessor } from '../../src/image/processor.ts';
import { Dinov2ForImageClassification } from '../../src/models/dinov2.ts';
import { withFolder } from '../helpers.ts';
import { TINY } from '../models/helpers.ts';

/** The files of a small random model with a classifier, as they stand on the hub, and some that are not needed. */
export async function modelFiles({
  shards = false,
  seed = 1,
}: {
  shards?: boolean;
  seed?: number;
} = {}): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = { 'README.md': new Uint8Array(9), 'pytorch_model.bin': new Uint8Array(1000) };
  await withFolder(async (folder) => {
    const model = new Dinov2ForImageClassification(TINY, { seed });
    await model.save_pretrained(folder, shards ? { max_shard_size: 4000 } : {});
    model.dispose();
    await new BitImageProcessor({ size: 12, crop_size: 12 }).save_pretrained(folder);
    for (const name of readdirSync(folder)) files[name] = readFileSync(join(folder, name));
  });
  return files;
}
