/** So many numbers are computed, the others repeat them: in a process that has just begun, work of the benchmark would count as the engine's. */
const PERIOD = 8191;

/** Numbers like those of normalised pixels, the same in each run. */
export function pattern(count: number): Float32Array<ArrayBuffer> {
  const numbers = new Float32Array(count);
  for (let i = 0; i < Math.min(count, PERIOD); i++) numbers[i] = 2 * Math.sin(i * 0.37) * Math.cos(i * 0.011);
  for (let done = PERIOD; done < count; done += PERIOD) numbers.copyWithin(done, 0, PERIOD);
  return numbers;
}
