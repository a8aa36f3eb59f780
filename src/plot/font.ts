import type { RawImage } from '../image/rawImage.ts';

/** Of a character, in pixels. */
export const CHARACTER = { width: 6, height: 13 } as const;

/**
 * The characters 32 to 126, 13 rows each, a byte a row, its highest bit on the left: "fixed" 6x13 of the X Window System ("Public domain
 * font. Share and enjoy."), in base64.
 */
const GLYPHS =
  'AAAAAAAAAAAAAAAAAAAAICAgICAgIAAgAAAAAFBQUAAAAAAAAAAAAAAAUFD4UPhQUAAAAAAAIHigoHAoKPAgAAAAAEioUBAgQFCokAAAAAAAQKCgQKCYkGgAAAAAICAg' +
  'AAAAAAAAAAAAECAgQEBAQEAgIBAAAEAgIBAQEBAQICBAAAAAIKhwqCAAAAAAAAAAAAAAICD4ICAAAAAAAAAAAAAAAAAAMCBAAAAAAAAAAPgAAAAAAAAAAAAAAAAAAAAg' +
  'cCAAAAAICBAQIEBAgIAAAAAAIFCIiIiIiFAgAAAAACBgoCAgICAg+AAAAABwiIgIECBAgPgAAAAA+AgQIHAICIhwAAAAABAQMFBQkPgQEAAAAAD4gICwyAgIiHAAAAAA' +
  'cIiAgPCIiIhwAAAAAPgIEBAgIEBAQAAAAABwiIiIcIiIiHAAAAAAcIiIiHgICIhwAAAAAAAAIHAgAAAgcCAAAAAAACBwIAAAMCBAAAAACBAgQIBAIBAIAAAAAAAAAPgA' +
  'APgAAAAAAACAQCAQCBAgQIAAAAAAcIiICBAgIAAgAAAAAHCIiJioqLCAeAAAAAAgUIiIiPiIiIgAAAAA8EhISHBISEjwAAAAAHCIgICAgICIcAAAAADwSEhISEhISPAA' +
  'AAAA+ICAgPCAgID4AAAAAPiAgIDwgICAgAAAAABwiICAgJiIiHAAAAAAiIiIiPiIiIiIAAAAAHAgICAgICAgcAAAAAA4EBAQEBAQkGAAAAAAiIiQoMCgkIiIAAAAAICA' +
  'gICAgICA+AAAAACIiNioqIiIiIgAAAAAiMjIqKiYmIiIAAAAAHCIiIiIiIiIcAAAAADwiIiI8ICAgIAAAAAAcIiIiIiIiKhwCAAAAPCIiIjwoJCIiAAAAABwiICAcAgI' +
  'iHAAAAAA+CAgICAgICAgAAAAAIiIiIiIiIiIcAAAAACIiIiIUFBQICAAAAAAiIiIiKioqKhQAAAAAIiIUFAgUFCIiAAAAACIiFBQICAgICAAAAAA+AgQECBAQID4AAAA' +
  'cEBAQEBAQEBAQHAAAACAgEBAIBAQCAgAAABwEBAQEBAQEBAQcAAAACBQiAAAAAAAAAAAAAAAAAAAAAAAAAD4AAAgEAAAAAAAAAAAAAAAAAAAAHAIeIiYaAAAAACAgIDw' +
  'iIiIiPAAAAAAAAAAcIiAgIhwAAAAAAgICHiIiIiIeAAAAAAAAABwiPiAiHAAAAAAMEhAQPBAQEBAAAAAAAAAAHCIiIh4CIhwAACAgICwyIiIiIgAAAAAACAAYCAgICBw' +
  'AAAAAAAQADAQEBAQkJBgAACAgICQoMCgkIgAAAAAYCAgICAgICBwAAAAAAAAANCoqKioiAAAAAAAAACwyIiIiIgAAAAAAAAAcIiIiIhwAAAAAAAAAPCIiIjwgICAAAAA' +
  'AAB4iIiIeAgICAAAAAAAsMiAgICAAAAAAAAAAHCIYBCIcAAAAAAAQEDwQEBASDAAAAAAAAAAiIiIiJhoAAAAAAAAAIiIiFBQIAAAAAAAAACIiKioqFAAAAAAAAAAiFAg' +
  'IFCIAAAAAAAAAIiIiJhoCIhwAAAAAAD4ECBAgPgAAAAYICAgIMAgICAgGAAAACAgICAgICAgIAAAAMAgICAgGCAgICDAAAAASKiQAAAAAAAAAAA=';

const FIRST = 32;
const LAST = 126;

/** Width and height of a line of text. */
export function textSize(text: string, scale = 1): { width: number; height: number } {
  return { width: Array.from(text).length * CHARACTER.width * scale, height: CHARACTER.height * scale };
}

/** Pixels of the shorter edge of a picture for each by which the font beside it is enlarged. */
const EDGE = 250;

/** How many pixels a pixel of the font is, for it to be read beside a picture. */
export function fontScale({ width, height }: { width: number; height: number }): number {
  return Math.max(1, Math.round(Math.min(width, height) / EDGE));
}

export interface TextOptions {
  /** Of the upper left corner. */
  left: number;
  top: number;
  /** How many pixels a pixel of the font is. Default 1. */
  scale?: number;
  /** Red, green, blue. Default black. */
  color?: readonly [number, number, number];
}

/** Writes a line of text into an RGB picture, as far as that reaches. Characters that the font lacks become question marks. */
export function drawText(picture: RawImage, text: string, { left, top, scale = 1, color = [0, 0, 0] }: TextOptions): void {
  const glyphs = atob(GLYPHS);
  for (const [i, character] of Array.from(text).entries()) {
    const code = character.codePointAt(0) as number;
    const glyph = (code >= FIRST && code <= LAST ? code : '?'.charCodeAt(0)) - FIRST;
    for (let y = 0; y < CHARACTER.height * scale; y++) {
      const row = glyphs.charCodeAt(glyph * CHARACTER.height + Math.floor(y / scale));
      for (let x = 0; x < CHARACTER.width * scale; x++) {
        if (row & (0x80 >> Math.floor(x / scale))) setPixel(picture, left + i * CHARACTER.width * scale + x, top + y, color);
      }
    }
  }
}

function setPixel({ data, width, height }: RawImage, x: number, y: number, color: readonly number[]): void {
  if (x >= 0 && x < width && y >= 0 && y < height) data.set(color, (y * width + x) * 3);
}
