// Writes the encoder of a model as ONNX, as transformers.js wants it, for pictures of 224 x 224: node writeOnnx.ts FOLDER.
import { mkdir, writeFile } from 'node:fs/promises';
import { dinov2ToOnnx } from '../../bench/engines/onnx/encoder.ts';
import { AutoModel } from '../../src/index.ts';

const folder = process.argv[2] as string;
const model = await AutoModel.from_pretrained(folder);
const weights = Object.fromEntries(Array.from(model.weights(), ([name, { dims, data }]) => [name, { dims, data }]));
await mkdir(`${folder}/onnx`, { recursive: true });
await writeFile(`${folder}/onnx/model.onnx`, dinov2ToOnnx(weights, model.config, { height: 224, width: 224 }));
