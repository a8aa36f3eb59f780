// What `npm run pictures` runs: the pictures of the README, docs/images, of the photographs here and with the model that comes with the package.
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { AutoImageProcessor, AutoModel, EMBEDDED_MODEL, RawImage } from 'dinov2-wasm';
import { captioned, encodeJpeg, heatPicture, matchPicture, pcaPicture, sideBySide, stacked } from 'dinov2-wasm/plot';
import { attentionMaps, fitPatchPca, matchPatches, patchFeatures, spreadMatches, wholePhoto } from 'dinov2-wasm/tasks';

const FOLDER = fileURLToPath(new URL('../docs/images/', import.meta.url));
const MODEL_EDGE = 448; // pixels of the shorter edge that the model sees: 32 patches
const WIDTH = 960; // of a picture, twice that at which the README shows it
const GAP = 8;

const model = await AutoModel.from_pretrained(EMBEDDED_MODEL);
const processor = await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL);

const photo = (name) => RawImage.read(fileURLToPath(new URL(`photos/${name}`, import.meta.url)));

async function featuresOf(image) {
  const { pixel_values, frame } = await wholePhoto(image, { processor, config: model.config, shortestEdge: MODEL_EDGE });
  const { last_hidden_state } = await model({ pixel_values });
  return { features: patchFeatures(last_hidden_state, [frame.rows, frame.columns]).at(0), frame };
}

/** The middle of a picture, of these proportions, at this width. */
async function cut(image, { width, ratio }) {
  const height = Math.min(image.height, image.width / ratio);
  const middle = await image.center_crop(Math.round(height * ratio), Math.round(height));
  return middle.resize(width, Math.round(width / ratio), { resample: 'bicubic' });
}

async function pca() {
  const width = (WIDTH - 3 * GAP) / 4;
  const names = ['astronaut.png', 'chelsea.png', 'coffee.png', 'rocket.jpg'];
  const images = await Promise.all(names.map(async (name) => cut(await photo(name), { width, ratio: 1.2 })));
  const features = [];
  for (const image of images) features.push((await featuresOf(image)).features);
  const { colorsOf } = fitPatchPca(features);
  const colors = await Promise.all(images.map((image, i) => pcaPicture(colorsOf(features[i]), image)));
  return stacked([sideBySide(images, { gap: GAP }), sideBySide(colors, { gap: GAP })], { gap: GAP });
}

async function attention() {
  const { num_attention_heads: heads, num_hidden_layers: layers } = model.config;
  const image = await photo('chelsea.png');
  const { pixel_values, frame } = await wholePhoto(image, { processor, config: model.config, shortestEdge: MODEL_EDGE });
  const { attentions } = await model({ pixel_values }, { output_attentions: true });
  const maps = attentionMaps(attentions.at(-1).at(0), [frame.rows, frame.columns]); // (heads, rows, columns)
  const width = Math.floor((WIDTH - heads * GAP) / (heads + 1));
  const small = await image.resize(width, Math.round((image.height * width) / image.width), { resample: 'bicubic' });
  const panels = Array.from({ length: heads }, (_, i) => captioned(heatPicture(small, maps.at(i)), `layer ${layers} head ${i + 1}`));
  return sideBySide([captioned(small, 'photo'), ...panels], { gap: GAP });
}

async function match() {
  const whole = await photo('chelsea.png');
  const part = await (await whole.crop([90, 20, 389, 279])).resize(520, 451, { resample: 'bicubic' });
  const [a, b] = [await featuresOf(part), await featuresOf(whole)];
  const { width, height } = part;
  const picture = await matchPicture(part, whole, spreadMatches(matchPatches(a, b), { count: 24, width, height }));
  return picture.resize(WIDTH, Math.round((picture.height * WIDTH) / picture.width), { resample: 'bicubic' });
}

await mkdir(FOLDER, { recursive: true });
for (const [name, draw] of Object.entries({ pca, attention, match })) {
  const bytes = encodeJpeg(await draw(), { quality: 80 });
  await writeFile(`${FOLDER}${name}.jpg`, bytes);
  console.log(`docs/images/${name}.jpg  ${(bytes.length / 1024).toFixed(0)} KiB`);
}
model.dispose();
