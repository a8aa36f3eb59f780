// For Node: models of some 45 MB, kept or disposed of. Prints the peak of resident memory, in bytes.
import { Dinov2Model, Tensor } from 'dinov2-wasm';

const [mode, count, folder] = process.argv.slice(2);
if (mode === 'save') {
  const config = { hidden_size: 384, num_attention_heads: 6, num_hidden_layers: 6, image_size: 56, patch_size: 14 };
  await new Dinov2Model(config).save_pretrained(folder);
}
const pixels = new Tensor('float32', new Float32Array(3 * 56 * 56), [1, 3, 56, 56]);
const kept = [];
for (let i = 0; i < Number(count); i++) {
  const model = await Dinov2Model.from_pretrained(folder);
  await model(pixels);
  if (mode === 'keep') kept.push(model);
  else await model[Symbol.asyncDispose]();
}
process.stdout.write(String(process.resourceUsage().maxRSS * 1024)); // as console.log would, but never in colour
