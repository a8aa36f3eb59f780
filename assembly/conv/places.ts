/** Outputs whose patches are found at a time, at most: what `places` has room for. */
// @ts-ignore: decorator
@inline
export const PLACES: i32 = 1020;

/**
 * Where the patches of `count` outputs begin in an image at x, from output `first` on, counted row by row with outWidth in a row; patches are `step`
 * bytes apart and rows of them `line`. What is left of the last `tile` of outputs has the place of the last.
 */
export function findPlaces(outWidth: i32, step: usize, line: usize, first: i32, count: i32, tile: i32, x: usize, places: usize): void {
  const row = first / outWidth;
  let column = first - row * outWidth;
  let left = x + <usize>row * line;
  let at = left + <usize>column * step;
  for (let i = 0, whole = (count + tile - 1) / tile * tile; i < whole; i++, places += sizeof<usize>()) {
    store<usize>(places, at);
    if (i + 1 >= count) continue;
    at += step;
    if (++column == outWidth) {
      column = 0;
      left += line;
      at = left;
    }
  }
}
