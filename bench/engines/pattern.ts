/** Numbers like those of normalised pixels, the same in each run. */
export function pattern(count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => 2 * Math.sin(i * 0.37) * Math.cos(i * 0.011));
}
