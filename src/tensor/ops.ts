import { ArgumentError, ShapeError } from '../errors.ts';
import type { Engine } from '../runtime/engine.ts';
import { ACTIVATIONS, type Activation, activationNumber, PANEL, STRIP_ROWS, TILE_ROWS } from '../runtime/kernels.ts';
import type { Address } from '../runtime/memory.ts';
import type { KernelCall } from '../runtime/threads.ts';
import { FORMS, headBytes, panelBytes, productBytes, rowBytes } from './matrix/int8Layout.ts';
import { addressOf, checkDims, type Float32, operate, place } from './place.ts';
import { sizeOf, type Tensor } from './tensor.ts';

/** Numbers that are worth a call of their own. */
const GRAIN = 4096;

/**
 * Matrix product over the last two dimensions: a (..., m, k), b (..., k, n) or (k, n) -> (..., m, n)
 * @throws {ShapeError} {DTypeError}
 */
export function matmul(a: Tensor, b: Tensor): Float32 {
  const batch = a.dims.slice(0, -2);
  const [m = 0, k = 0] = a.dims.slice(-2);
  const n = b.dims.at(-1) ?? 0;
  const shared = b.dims.length === 2;
  if (a.dims.length < 2) throw new ShapeError(`matmul: expected a of two or more dimensions, found [${a.dims}]`);
  checkDims('matmul: b', shared ? [k, n] : [...batch, k, n], b.dims);
  return operate('matmul', [a, b], (engine, [x, y]) => {
    const z = place(engine, 'float32', [...batch, m, n]);
    engine.scope(() => {
      const packed = engine.allocate(Math.ceil(n / PANEL) * (k + 1) * PANEL * 4);
      for (let i = 0; i < sizeOf(batch); i++) {
        if (i === 0 || !shared) engine.call('f32_pack_rows', n, k, addressOf(y) + (shared ? 0 : i * k * n * 4), n, packed);
        const [from, to] = [addressOf(x) + i * m * k * 4, addressOf(z) + i * m * n * 4];
        engine.parallel(m, TILE_ROWS, (first, rows) => [
          'f32_gemm',
          ...([rows, n, k, from + first * k * 4, k, packed, to + first * n * 4, n, ACTIVATIONS.none] as const),
        ]);
      }
    });
    return z;
  });
}

/** e^x / sum e^x over the last dimension. @throws {DTypeError} */
export function softmax(x: Tensor): Float32 {
  return operate('softmax', [x], (engine, [a]) => {
    const y = place(engine, 'float32', a.dims);
    const columns = a.dims.at(-1) ?? 1;
    engine.parallel(columns ? a.size / columns : 0, 1, (first, rows) => [
      'f32_softmax',
      rows,
      columns,
      addressOf(a) + first * columns * 4,
      addressOf(y) + first * columns * 4,
    ]);
    return y;
  });
}

/**
 * The function by name, on each element; the formulas stand in `assembly/math.ts`. @throws {DTypeError} {ArgumentError} on an unknown name
 */
export function activate(x: Tensor, activation: Activation): Float32 {
  const kind = activationNumber(activation);
  return operate(activation, [x], (engine, [a]) => {
    const y = place(engine, 'float32', a.dims);
    engine.parallel(a.size, GRAIN, (first, count) => ['f32_activation', count, kind, addressOf(a) + first * 4, addressOf(y) + first * 4]);
    return y;
  });
}

/** x (1 + erf(x / sqrt 2)) / 2, the exact form. @throws {DTypeError} */
export function gelu(x: Tensor): Float32 {
  return activate(x, 'gelu');
}

/** max(x, 0). @throws {DTypeError} */
export function relu(x: Tensor): Float32 {
  return activate(x, 'relu');
}

/** x / (1 + e^-x). @throws {DTypeError} */
export function silu(x: Tensor): Float32 {
  return activate(x, 'silu');
}

/** silu(x[..., :w]) * x[..., w:]: x (..., 2 w) -> (..., w). @throws {ShapeError} {DTypeError} */
export function swiglu(x: Tensor): Float32 {
  const width = (x.dims.at(-1) ?? 0) / 2;
  if (!Number.isInteger(width) || width === 0) throw new ShapeError(`swiglu: expected an even last dimension, found [${x.dims}]`);
  return operate('swiglu', [x], (engine, [a]) => {
    const y = place(engine, 'float32', [...a.dims.slice(0, -1), width]);
    engine.parallel(y.size / width, 1, (first, rows) => [
      'f32_swiglu',
      rows,
      width,
      addressOf(a) + first * width * 8,
      addressOf(y) + first * width * 4,
    ]);
    return y;
  });
}

/**
 * (x - mean) / sqrt(variance + epsilon) * weight + bias over the last dimension: weight and bias (columns). @throws {ShapeError}
 * {DTypeError}
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon = 1e-6): Float32 {
  const columns = x.dims.at(-1) ?? 1;
  checkDims('layerNorm: weight', [columns], weight.dims);
  checkDims('layerNorm: bias', [columns], bias.dims);
  return operate('layerNorm', [x, weight, bias], (engine, [a, w, b]) => {
    const y = place(engine, 'float32', a.dims);
    engine.parallel(a.size / columns, 1, (first, rows) => {
      const at = first * columns * 4;
      return ['f32_layer_norm', rows, columns, addressOf(a) + at, addressOf(w), addressOf(b), epsilon, addressOf(y) + at];
    });
    return y;
  });
}

/**
 * x + y; y has the dimensions of x, or is repeated over the leading ones. `out`: a placed tensor for the result. @throws {ShapeError}
 * {DTypeError}
 */
export function add(x: Tensor, y: Tensor, { out }: { out?: Float32 } = {}): Float32 {
  return elementwise('add', x, y, out);
}

/** x * y, element by element; y as in {@link add}. @throws {ShapeError} {DTypeError} */
export function multiply(x: Tensor, y: Tensor): Float32 {
  return elementwise('multiply', x, y);
}

function elementwise(name: 'add' | 'multiply', x: Tensor, y: Tensor, out?: Float32): Float32 {
  checkDims(`${name}: y`, y.dims.length < x.dims.length ? x.dims.slice(x.dims.length - y.dims.length) : x.dims, y.dims);
  return operate(name, [x, y], (engine, [a, b]) => {
    const z = out ?? place(engine, 'float32', a.dims);
    checkDims(`${name}: out`, a.dims, z.dims);
    if (a.size) engine.call(name === 'add' ? 'f32_add' : 'f32_mul', a.size / b.size, b.size, addressOf(a), addressOf(b), 0, addressOf(z));
    return z;
  });
}

/** The mean over the first dimension: (rows, columns) -> (columns). @throws {ShapeError} {DTypeError} */
export function mean(x: Tensor): Float32 {
  checkDims('mean', [-1, -1], x.dims);
  return operate('mean', [x], (engine, [a]) => {
    const [rows, columns] = a.dims as [number, number];
    const y = place(engine, 'float32', [columns]);
    engine.call('f32_mean', rows, columns, addressOf(a), columns, addressOf(y));
    return y;
  });
}

/** The rows of x as columns: (rows, columns) -> (columns, rows). @throws {ShapeError} {DTypeError} */
export function transpose(x: Tensor): Float32 {
  checkDims('transpose', [-1, -1], x.dims);
  return operate('transpose', [x], (engine, [a]) => {
    const [rows, columns] = a.dims as [number, number];
    const y = place(engine, 'float32', [columns, rows]);
    engine.call('f32_transpose', rows, columns, addressOf(a), addressOf(y));
    return y;
  });
}

/** x, and behind it y, along the first dimension. @throws {ShapeError} {DTypeError} */
export function concat(x: Tensor, y: Tensor): Float32 {
  if (x.dims.length === 0) throw new ShapeError('concat: expected x of one or more dimensions, found []');
  checkDims('concat: y', [-1, ...x.dims.slice(1)], y.dims);
  return operate('concat', [x, y], (engine, [a, b]) => {
    const z = place(engine, 'float32', [(a.dims[0] as number) + (b.dims[0] as number), ...a.dims.slice(1)]);
    engine.copy(addressOf(z), addressOf(a), a.bytes);
    engine.copy(addressOf(z) + a.bytes, addressOf(b), b.bytes);
    return z;
  });
}

export interface AttentionOptions {
  heads: number;
  /** Factor of the scores, above 0; default 1 / sqrt(width of a head). */
  scale?: number;
  /** One number a head by which its probabilities are multiplied after the softmax. */
  headMask?: ArrayLike<number>;
  /** Whether both products are sums of integers, of 8 bits but the shares, which have 14: twice as fast. Default false. */
  integers?: boolean;
  /** Receives the probabilities (heads, tokens, tokens), which are otherwise never in memory as a whole. */
  probabilities?: (probabilities: Float32) => void;
}

/**
 * Multi-head attention, softmax(scale q k^T) v for each head (Vaswani et al. 2017): q, k, v (tokens, heads * width) -> (tokens, heads *
 * width)
 * @throws {ShapeError} {DTypeError} {ArgumentError} naming the operand or option
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Float32 {
  const { heads, scale, headMask } = options;
  checkDims('attention: q', [-1, -1], q.dims);
  const [queries, hidden] = q.dims as [number, number];
  checkDims('attention: k', [-1, hidden], k.dims);
  checkDims('attention: v', k.dims, v.dims);
  const keys = k.dims[0] as number;
  if (!isPositive(heads)) throw new ArgumentError(`attention: heads: expected a positive integer, found ${heads}`);
  if (headMask) checkDims('attention: headMask', [heads], [headMask.length]);
  if (scale !== undefined && !(scale > 0 && scale < Number.POSITIVE_INFINITY)) {
    throw new ArgumentError(`attention: scale: expected a number above 0, found ${scale}`);
  }
  const width = hidden / heads;
  if (!Number.isInteger(width)) throw new ShapeError(`attention: expected a width that ${heads} heads divide, found ${hidden}`);
  return operate('attention', [q, k, v], (engine, [query, key, value]) => {
    const columns = (tensor: Float32): Columns => ({ address: addressOf(tensor), stride: hidden });
    return attend(engine, { queries, keys, width }, columns(query), columns(key), columns(value), options);
  });
}

/** Columns of a matrix: where the first row begins, and how many numbers further each next one. */
interface Columns {
  readonly address: Address;
  readonly stride: number;
}

/**
 * {@link attention} of tokens to one another, query, key and value standing side by side: qkv (tokens, 3 * stride), of which each takes the first
 * `hidden` columns of a third -> (tokens, hidden)
 */
export function selfAttention(qkv: Float32, hidden: number, options: AttentionOptions): Float32 {
  const [tokens, stride] = qkv.dims as [number, number];
  const { engine } = qkv.place as NonNullable<Float32['place']>;
  const third = (i: number): Columns => ({ address: addressOf(qkv) + (i * stride * 4) / 3, stride });
  return attend(engine, { queries: tokens, keys: tokens, width: hidden / options.heads }, third(0), third(1), third(2), options);
}

/** The two ways of {@link attend}: sizes of what is packed for a head and of the room for one call, and the calls. */
interface AttentionKernels {
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly roomBytes: number;
  pack(key: Columns, value: Columns, packedKeys: Address, packedValues: Address): KernelCall[];
  call(part: AttentionPart): KernelCall;
}

interface AttentionPart {
  readonly queries: number;
  readonly query: Columns;
  readonly packedKeys: Address;
  readonly packedValues: Address;
  readonly out: Columns;
  readonly weight: number;
  readonly room: Address;
  readonly probabilities: Address;
}

function attend(
  engine: Engine,
  { queries, keys, width }: { queries: number; keys: number; width: number },
  query: Columns,
  key: Columns,
  value: Columns,
  { heads, scale = width ** -0.5, headMask, probabilities, integers = false }: AttentionOptions,
): Float32 {
  const hidden = heads * width;
  const out = place(engine, 'float32', [queries, hidden]);
  const kernels = (integers ? integerAttention : floatAttention)(keys, width, scale, engine);
  engine.scope(() => {
    const packedKeys = engine.allocate(heads * kernels.keyBytes);
    const packedValues = engine.allocate(heads * kernels.valueBytes);
    const kept = probabilities && place(engine, 'float32', [heads, queries, keys]);
    const all = Array.from({ length: heads }, (_, head) => ({
      keys: packedKeys + head * kernels.keyBytes,
      values: packedValues + head * kernels.valueBytes,
      of: ({ address, stride }: Columns, row = 0): Columns => ({ address: address + (row * stride + head * width) * 4, stride }),
    }));
    engine.together(all.flatMap((head) => kernels.pack(head.of(key), head.of(value), head.keys, head.values)));

    // heads that are too few for the threads are cut into strips of queries
    const cuts = Math.min(Math.ceil(engine.parts(Number.POSITIVE_INFINITY, 1) / heads), Math.ceil(queries / STRIP_ROWS));
    const rows = Math.ceil(queries / STRIP_ROWS / cuts) * STRIP_ROWS;
    const rooms = engine.allocate((engine.threads === 1 ? 1 : heads * cuts) * kernels.roomBytes);
    engine.together(
      all.flatMap((head, h) =>
        Array.from({ length: Math.ceil(queries / rows) }, (_, i) =>
          kernels.call({
            queries: Math.min(rows, queries - i * rows),
            query: head.of(query, i * rows),
            packedKeys: head.keys,
            packedValues: head.values,
            out: head.of({ address: addressOf(out), stride: hidden }, i * rows),
            weight: headMask?.[h] ?? 1,
            room: rooms + (engine.threads === 1 ? 0 : (h * cuts + i) * kernels.roomBytes),
            probabilities: kept ? addressOf(kept.at(h)) + i * rows * keys * 4 : 0,
          }),
        ),
      ),
    );
    if (kept) probabilities(kept);
  });
  return out;
}

/** In float32 (`assembly/attention/f32_attention.ts`). */
function floatAttention(keys: number, width: number, scale: number): AttentionKernels {
  return {
    keyBytes: Math.ceil(keys / PANEL) * (width + 1) * PANEL * 4,
    valueBytes: Math.ceil(width / PANEL) * (keys + 1) * PANEL * 4,
    roomBytes: STRIP_ROWS * Math.ceil(keys / PANEL) * PANEL * 4,
    pack: (key, value, packedKeys, packedValues) => [
      ['f32_pack', keys, width, key.address, key.stride, 0, packedKeys],
      ['f32_pack_rows', width, keys, value.address, value.stride, packedValues],
    ],
    call: ({ queries, query, packedKeys, packedValues, out, weight, room, probabilities }) => [
      ...(['f32_attention', queries, keys, width, query.address, query.stride, packedKeys, packedValues] as const),
      ...([out.address, out.stride, scale, weight, room, probabilities] as const),
    ],
  };
}

/** With sums of products of integers (`assembly/attention/i8_attention.ts`). */
function integerAttention(keys: number, width: number, scale: number, engine: Engine): AttentionKernels {
  const form = FORMS[engine.integerForm];
  const panels = Math.ceil(keys / PANEL);
  const keyPanels = panels * panelBytes(width);
  const strip = form === FORMS.pairs ? 16 : 12;
  const queryBytes = headBytes(width) + rowBytes(width, form.bytes) + panels * PANEL * 4 + headBytes(keys) + rowBytes(keys, 2);
  return {
    keyBytes: keyPanels + Math.ceil(width / 2) * 16, // behind the keys, their mean and one of them on its way
    valueBytes: Math.ceil(width / PANEL) * panelBytes(keys),
    roomBytes: strip * queryBytes + productBytes(form, Math.max(width, keys), 4),
    pack: (key, value, packedKeys, packedValues) => [
      ['i8_pack_keys', keys, width, key.address, key.stride, packedKeys + keyPanels, packedKeys],
      ['i8_quantize_pack_rows', width, keys, value.address, value.stride, packedValues],
    ],
    call: ({ queries, query, packedKeys, packedValues, out, weight, room, probabilities }) => [
      ...(['i8_attention', form.number, queries, keys, width, query.address, query.stride, packedKeys, packedValues] as const),
      ...([out.address, out.stride, scale, weight, room, probabilities] as const),
    ],
  };
}

/** x, but at least `least` and at most `most`. @throws {DTypeError} */
export function clamp(x: Tensor, least: number, most: number): Float32 {
  return operate('clamp', [x], (engine, [a]) => {
    const y = place(engine, 'float32', a.dims);
    engine.call('f32_clamp', a.size, least, most, addressOf(a), addressOf(y));
    return y;
  });
}

/**
 * x / max(|x|, epsilon) over the last dimension, as `torch.nn.functional.normalize`; |x| is the Euclidean length. @throws {DTypeError}
 */
export function normalize(x: Tensor, epsilon = 1e-12): Float32 {
  return operate('normalize', [x], (engine, [a]) => {
    const y = place(engine, 'float32', a.dims);
    const columns = a.dims.at(-1) ?? 1;
    engine.call('f32_l2_norm', columns ? a.size / columns : 0, columns, epsilon, addressOf(a), addressOf(y));
    return y;
  });
}

/**
 * The mean of `values` under the weights max(x, 0) + 0.1, as a network that sorts into bins means it (AdaBins, Bhat et al. 2021): x (...,
 * bins), values (bins) -> (...). @throws {ShapeError} {DTypeError}
 */
export function binMean(x: Tensor, values: Tensor): Float32 {
  const bins = x.dims.at(-1) ?? 0;
  if (bins === 0) throw new ShapeError(`binMean: expected x of one bin or more, found [${x.dims}]`);
  checkDims('binMean: values', [bins], values.dims);
  return operate('binMean', [x, values], (engine, [a, v]) => {
    const y = place(engine, 'float32', a.dims.slice(0, -1));
    engine.call('f32_bin_mean', y.size, bins, addressOf(a), addressOf(v), addressOf(y));
    return y;
  });
}

/**
 * The image as a matrix of patches, in the order of the weights of a convolution: (channels, height, width) -> (rows * columns, channels *
 * patch height * patch width). Pixels right of or below the last whole patch are left out. @throws {ShapeError} {DTypeError}
 * {ArgumentError}
 */
export function patchify(x: Tensor, [patchHeight, patchWidth]: readonly [number, number]): Float32 {
  if (!isPositive(patchHeight) || !isPositive(patchWidth)) {
    throw new ArgumentError(`patchify: expected a patch of positive integers, found ${patchHeight},${patchWidth}`);
  }
  checkDims('patchify', [-1, -1, -1], x.dims);
  const [channels, height, width] = x.dims as [number, number, number];
  const rows = Math.floor(height / patchHeight);
  const columns = Math.floor(width / patchWidth);
  return operate('patchify', [x], (engine, [a]) => {
    const y = place(engine, 'float32', [rows * columns, channels * patchHeight * patchWidth]);
    const bytes = y.bytes / rows; // of a row of patches
    engine.parallel(rows, 1, (first, count) => [
      ...(['f32_patchify', channels, width, patchHeight, patchWidth, count, columns, height * width] as const),
      ...([addressOf(a) + first * patchHeight * width * 4, addressOf(y) + first * bytes] as const),
    ]);
    return y;
  });
}

/**
 * Index of the largest element; the first of several. NaN counts as larger than all numbers, as in PyTorch. @throws {ShapeError} when there
 * is none
 */
export function argmax(x: Tensor): number {
  if (x.size === 0) throw new ShapeError(`argmax: expected one element or more, found [${x.dims}]`);
  const { data } = x.dtype === 'float16' || x.dtype === 'bfloat16' ? x.to('float32') : x;
  let best = 0;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (Number.isNaN(value)) return i;
    if (value > (data[best] as number)) best = i;
  }
  return best;
}

function isPositive(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
