import type { ByteSource, Extent } from './checkpoint.ts';

/** Elements of a storage chosen by strides: [i, j, ...] of the view is offset + i strides[0] + j strides[1] + ... of the storage. */
export interface StridedView {
  readonly dims: readonly number[];
  /** In elements, as many as dims. */
  readonly strides: readonly number[];
  /** In elements. */
  readonly offset: number;
  /** Bytes of an element. */
  readonly elementBytes: number;
}

/** Elements of the storage from the first that the view has to its last. */
export function spanOf({ dims, strides }: Pick<StridedView, 'dims' | 'strides'>): number {
  if (dims.includes(0)) return 0;
  return dims.reduce((span, d, axis) => span + (d - 1) * (strides[axis] as number), 1);
}

/** Whether the elements stand in row-major order without holes. The stride of a single element says nothing. */
export function isContiguous({ dims, strides }: Pick<StridedView, 'dims' | 'strides'>): boolean {
  let expected = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    const d = dims[axis] as number;
    if (d !== 1 && strides[axis] !== expected) return false;
    expected *= d;
  }
  return true;
}

/**
 * A view as if its elements stood in a file, row-major. What it spans of the storage is in memory from the first read to that of the last
 * element.
 */
export class GatheredView implements ByteSource {
  readonly #storage: Extent;
  readonly #view: StridedView;
  #span: Promise<Uint8Array> | undefined;

  /** @param storage begins with element 0 of the storage */
  constructor(storage: Extent, view: StridedView) {
    this.#storage = storage;
    this.#view = view;
  }

  async read(offset: number, bytes: number, visit: (bytes: Uint8Array) => void): Promise<void> {
    this.#span ??= this.#load();
    const span = await this.#span;
    const { dims, elementBytes } = this.#view;
    if (offset + bytes === elementBytes * dims.reduce((n, d) => n * d, 1)) this.#span = undefined;
    const gathered = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += elementBytes) {
      const from = this.#locate((offset + at) / elementBytes) * elementBytes;
      for (let i = 0; i < elementBytes; i++) gathered[at + i] = span[from + i] as number;
    }
    visit(gathered);
  }

  /** Where an element, given by its row-major number, stands in the span. */
  #locate(element: number): number {
    const { dims, strides } = this.#view;
    let rest = element;
    let place = 0;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const d = dims[axis] as number;
      place += (rest % d) * (strides[axis] as number);
      rest = Math.floor(rest / d);
    }
    return place;
  }

  async #load(): Promise<Uint8Array> {
    const { offset, elementBytes } = this.#view;
    const { file, offset: begin } = this.#storage;
    const span = new Uint8Array(spanOf(this.#view) * elementBytes);
    await file.read(begin + offset * elementBytes, span.length, (bytes) => span.set(bytes));
    return span;
  }
}
