/**
 * f32_patchify(channels, width, patchHeight, patchWidth, gridHeight, gridWidth, plane, x, y): the image as a matrix of patches, so that the
 * patch embedding (a convolution whose stride is its kernel) is a matrix product (Dosovitskiy et al. 2020). x (channels, height, width),
 * planes `plane` elements apart; y (gridHeight gridWidth, channels patchHeight patchWidth), the order of Conv2d weights. What is right of
 * or below the last whole patch is left out, as the convolution does.
 */
export function f32_patchify(
  channels: i32, width: i32, patchHeight: i32, patchWidth: i32, gridHeight: i32, gridWidth: i32, plane: i32, x: usize, y: usize,
): void {
  const bytes = <usize>patchWidth << 2;
  const whole = bytes & ~15;
  for (let i = 0; i < gridHeight; i++) {
    for (let j = 0; j < gridWidth; j++) {
      for (let channel = 0; channel < channels; channel++) {
        let from = x + ((<usize>channel * <usize>plane + <usize>(i * patchHeight) * <usize>width + <usize>(j * patchWidth)) << 2);
        for (let row = 0; row < patchHeight; row++, from += <usize>width << 2, y += bytes) {
          let at: usize = 0; // a call of memory.copy costs more than a few numbers
          for (; at < whole; at += 16) v128.store(y + at, v128.load(from + at));
          for (; at < bytes; at += 4) store<f32>(y + at, load<f32>(from + at));
        }
      }
    }
  }
}
