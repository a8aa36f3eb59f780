import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import type { Dinov2ConfigFields } from '../../src/models/config.ts';
import { dinov2 } from './dinov2.ts';
import type { Engine, Forward } from './engine.ts';
import { interpolatePositions } from './onnx/positions.ts';

export type Tf = typeof import('@tensorflow/tfjs-core');

type Config = Required<Pick<Dinov2ConfigFields, 'num_hidden_layers' | 'num_attention_heads' | 'hidden_size' | 'layer_norm_eps'>> & {
  readonly patch_size: number;
};

/** tfjs on its WebAssembly backend, with SIMD and XNNPACK. In Node it has no threads, and on that backend no products of 8 bits. */
export const tfjs: Engine = {
  name: 'tfjs-wasm',
  dtypes: ['f32'],
  maxThreads: 1,
  prepare: dinov2.prepare,

  async load(folder, { size }): Promise<Forward> {
    const tf = await startTfjs();
    const encoder = new Encoder(tf, JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')));
    await encoder.load(join(folder, 'model.safetensors'), size);
    return async (pixels) => {
      const output = tf.tidy(() => encoder.forward(tf.tensor(pixels, [1, 3, size, size])));
      const data = (await output.data()) as Float32Array;
      output.dispose();
      return data;
    };
  },
};

/** tfjs with the WebAssembly backend in use. */
export async function startTfjs(): Promise<Tf> {
  const tf = await import('@tensorflow/tfjs-core');
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')) + sep);
  await tf.setBackend('wasm');
  return tf;
}

/**
 * The encoder in tfjs operations, as fast as they allow: weights transposed ahead, and one product a head, for of the products of this
 * backend only those of two plain matrices reach XNNPACK. Attention of all heads in one takes 4 times as long at 257 tokens, 11 at 1370.
 */
class Encoder {
  readonly #tf: Tf;
  readonly #config: Config;
  readonly #weights = new Map<string, Tensor>();

  constructor(tf: Tf, config: Config) {
    this.#tf = tf;
    this.#config = config;
  }

  /** Takes the weights of a float32 file: a header in JSON behind its length in 8 bytes, then the numbers. */
  async load(path: string, size: number): Promise<void> {
    const tf = this.#tf;
    const { patch_size, hidden_size: hidden } = this.#config;
    const { buffer, byteOffset } = await readFile(path);
    const start = 8 + Number(new DataView(buffer, byteOffset).getBigUint64(0, true));
    const { __metadata__, ...entries } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, byteOffset + 8, start - 8)));
    for (const [name, { shape, data_offsets }] of Object.entries(entries) as [string, { shape: number[]; data_offsets: number[] }][]) {
      const data = new Float32Array(buffer.slice(byteOffset + start + data_offsets[0], byteOffset + start + data_offsets[1]));
      const isTable = name === 'embeddings.position_embeddings';
      const table = isTable && interpolatePositions(data, { hidden, height: size, width: size, patchSize: [patch_size, patch_size] });
      const weight = table ? tf.tensor(table, [table.length / hidden, hidden]) : tf.tensor(data, shape);
      this.#weights.set(
        name,
        tf.tidy(() => ordered(tf, name, weight)),
      );
    }
  }

  /** pixels (1, 3, height, width) -> (tokens, hidden) */
  forward(pixels: Tensor): Tensor {
    const tf = this.#tf;
    const projection = 'embeddings.patch_embeddings.projection';
    const { patch_size: patch, hidden_size: hidden, num_hidden_layers } = this.#config;
    const image = tf.transpose(pixels, [0, 2, 3, 1]) as Tensor4D; // (1, height, width, channels)
    const maps = tf.conv2d(image, this.#weight(`${projection}.weight`) as Tensor4D, [patch, patch], 'valid');
    const patches = tf.add(tf.reshape(maps, [-1, hidden]), this.#weight(`${projection}.bias`)); // (patches, hidden)
    const cls = tf.reshape(this.#weight('embeddings.cls_token'), [1, hidden]);
    let x = tf.add(tf.concat([cls, patches], 0), this.#weight('embeddings.position_embeddings')); // (tokens, hidden)
    for (let i = 0; i < num_hidden_layers; i++) x = this.#block(x, `encoder.layer.${i}`);
    return this.#layerNorm(x, 'layernorm');
  }

  /** Takes the place of x, which is given back. */
  #block(x: Tensor, name: string): Tensor {
    const tf = this.#tf;
    const output = tf.tidy(() => {
      const attended = this.#attention(this.#layerNorm(x, `${name}.norm1`), `${name}.attention`);
      const y = tf.add(x, tf.mul(attended, this.#weight(`${name}.layer_scale1.lambda1`)));
      const hidden = this.#gelu(this.#linear(this.#layerNorm(y, `${name}.norm2`), `${name}.mlp.fc1`));
      return tf.add(y, tf.mul(this.#linear(hidden, `${name}.mlp.fc2`), this.#weight(`${name}.layer_scale2.lambda1`)));
    });
    x.dispose();
    return output;
  }

  #attention(x: Tensor, name: string): Tensor {
    const tf = this.#tf;
    const { num_attention_heads: heads, hidden_size } = this.#config;
    const size = hidden_size / heads;
    const query = tf.mul(this.#linear(x, `${name}.attention.query`), size ** -0.5); // (tokens, hidden)
    const key = tf.transpose(this.#linear(x, `${name}.attention.key`), [1, 0]); // (hidden, tokens)
    const value = this.#linear(x, `${name}.attention.value`); // (tokens, hidden)
    const contexts = Array.from({ length: heads }, (_, head) =>
      tf.tidy(() => {
        const scores = tf.matMul(tf.slice(query, [0, head * size], [-1, size]), tf.slice(key, [head * size, 0], [size, -1]));
        return tf.matMul(tf.softmax(scores), tf.slice(value, [0, head * size], [-1, size])); // (tokens, size)
      }),
    );
    return this.#linear(tf.concat(contexts, 1), `${name}.output.dense`);
  }

  #linear(x: Tensor, name: string): Tensor {
    return this.#tf.fused.matMul({ a: x, b: this.#weight(`${name}.weight`), bias: this.#weight(`${name}.bias`) });
  }

  #layerNorm(x: Tensor, name: string): Tensor {
    const tf = this.#tf;
    const mean = tf.mean(x, 1, true);
    const variance = tf.mean(tf.squaredDifference(x, mean), 1, true);
    const normed = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, this.#config.layer_norm_eps)));
    return tf.add(tf.mul(normed, this.#weight(`${name}.weight`)), this.#weight(`${name}.bias`));
  }

  #gelu(x: Tensor): Tensor {
    const tf = this.#tf;
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  }

  #weight(name: string): Tensor {
    const weight = this.#weights.get(name);
    if (!weight) throw new Error(`weight "${name}": expected in the checkpoint of a DINOv2 encoder with an MLP and biases, found none`);
    return weight;
  }
}

/** A weight in the order in which tfjs wants it: (out, in) as (in, out), (out, in, height, width) as (height, width, in, out). */
function ordered(tf: Tf, name: string, weight: Tensor): Tensor {
  if (!name.endsWith('.weight')) return weight;
  if (weight.shape.length === 2) return tf.transpose(weight, [1, 0]);
  return weight.shape.length === 4 ? tf.transpose(weight, [2, 3, 1, 0]) : weight;
}
