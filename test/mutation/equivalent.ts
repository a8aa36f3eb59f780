import type { Judged } from './score.ts';

/** Mutants that change nothing which can be observed. They count as survivors all the same; the report says how many of these they are. */
export const EQUIVALENT: readonly (Pick<Judged, 'path' | 'code' | 'original' | 'replacement'> & { readonly reason: string })[] = [
  {
    path: 'src/checkpoint/zip.ts',
    code: 'for (let at = 0; at < this.bytes; at += PIECE) {',
    original: '<',
    replacement: '<=',
    reason: 'reads no bytes once more',
  },
  {
    path: 'src/checkpoint/zip.ts',
    code: 'for (let at = 0; wide.length > 0 && at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {',
    original: '4',
    replacement: '(4 + 1)',
    reason: 'a field of no bytes has no sizes in it, and is refused with the same words',
  },
  {
    path: 'src/checkpoint/safetensors.ts',
    code: 'return RANK.indexOf(FILE_DTYPES[b.dtype]) - RANK.indexOf(FILE_DTYPES[a.dtype]) || (a.name < b.name ? -1 : 1);',
    original: '1',
    replacement: '(1 + 1)',
    reason: 'of what a comparison gives only the sign counts',
  },
  {
    path: 'src/checkpoint/safetensors.ts',
    code: 'return RANK.indexOf(FILE_DTYPES[b.dtype]) - RANK.indexOf(FILE_DTYPES[a.dtype]) || (a.name < b.name ? -1 : 1);',
    original: 'indexOf',
    replacement: 'lastIndexOf',
    reason: 'each type is in the list once',
  },
  {
    path: 'src/image/pixels.ts',
    code: 'for (let from = 0, to = 0; to < data.length; from += pixels.channels, to += channels) {',
    original: '<',
    replacement: '<=',
    reason: 'what is written behind the end of an array is dropped',
  },
  {
    path: 'src/image/resize.ts',
    code: 'lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },',
    original: '<',
    replacement: '<=',
    reason: 'sinc(3) sinc(1) is below 2^-100, and 0 in 22 bits',
  },
  {
    path: 'src/image/resize.ts',
    code: 'hamming: { support: 1, weight: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI)) : 0) },',
    original: '1',
    replacement: '(1 + 1)',
    reason: 'a larger support adds taps of weight 0',
  },
];
