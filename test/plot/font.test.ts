import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RawImage } from '../../src/image/rawImage.ts';
import { drawText, textSize } from '../../src/plot/font.ts';

/** Text on white as lines of characters. */
function drawn(text: string, options: Parameters<typeof drawText>[2], size = textSize(text, options.scale)): string[] {
  const picture = new RawImage(new Uint8Array(size.width * size.height * 3).fill(255), size.width, size.height, 3);
  drawText(picture, text, options);
  return Array.from({ length: size.height }, (_, y) =>
    Array.from({ length: size.width }, (_, x) => (picture.data[(y * size.width + x) * 3] === 255 ? '.' : '#')).join(''),
  );
}

const SEVEN = [
  '......',
  '......',
  '#####.',
  '....#.',
  '...#..',
  '...#..',
  '..#...',
  '..#...',
  '.#....',
  '.#....',
  '.#....',
  '......',
  '......',
];

test('characters are drawn as the font has them', () => {
  assert.equal(drawn('7', { left: 0, top: 0 }), SEVEN);
});

test('a line is its characters side by side, larger by whole numbers', () => {
  assert.equal(
    drawn('77', { left: 0, top: 0 }),
    SEVEN.map((row) => row + row),
  );
  const twice = SEVEN.flatMap((row) => {
    const wide = [...row].map((c) => c + c).join('');
    return [wide, wide];
  });
  assert.equal(drawn('7', { left: 0, top: 0, scale: 2 }), twice);
});

test('what reaches beyond the picture is cut off', () => {
  const cut = drawn('7', { left: -3, top: 2 }, { width: 6, height: 13 });
  const shifted = ['......', '......', ...SEVEN.slice(0, 11)].map((row) => `${row.slice(3)}...`);
  assert.equal(cut, shifted);
});

test('characters that it lacks are question marks', () => {
  assert.equal(drawn('é', { left: 0, top: 0 }), drawn('?', { left: 0, top: 0 }));
  assert.equal(textSize('é½'), { width: 12, height: 13 });
});

test.run();
