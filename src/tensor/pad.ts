import { addressOf, type Float32, operate, place, placed } from './place.ts';
import { sizeOf, Tensor } from './tensor.ts';

/**
 * Zeros around an image, half of them on either side and an odd one behind it: x (..., rows, columns) -> (..., height, width), as large or
 * larger. @throws {DTypeError}
 */
export function padAround(x: Tensor, [height, width]: readonly [height: number, width: number]): Float32 {
  const [rows, columns] = x.dims.slice(-2) as [number, number];
  const leading = x.dims.slice(0, -2);
  const [top, left] = [Math.floor((height - rows) / 2), Math.floor((width - columns) / 2)];
  return operate('padAround', [x], (engine, [a]) => {
    const y = place(engine, 'float32', [...leading, height, width]);
    const zeros = placed(engine, new Tensor('float32', new Float32Array(width), [width]));
    engine.call('f32_copy_rows', sizeOf(leading) * height, width, addressOf(zeros), 0, addressOf(y), width);
    for (let i = 0; i < sizeOf(leading); i++) {
      const from = addressOf(a) + i * rows * columns * 4;
      const to = addressOf(y) + ((i * height + top) * width + left) * 4;
      engine.call('f32_copy_rows', rows, columns, from, columns, to, width);
    }
    return y;
  });
}
