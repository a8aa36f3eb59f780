import { type Dice, mutate, oneOf, pick } from './mutate.ts';

/** Keys that mean something to JavaScript. */
const HOSTILE = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'toJSON', 'then', 'length', 'name'],
  ...['__defineGetter__', '', '0', '-1', '4294967295', '../x', 'a\u0000b', '\ud800'],
];
const NUMBERS = [
  '0',
  '-0',
  '-1',
  '1',
  '2',
  '3',
  '1.5',
  '7',
  '64',
  '1001',
  '65536',
  '1000001',
  '2147483648',
  '9007199254740993',
  '1e308',
  '1e-320',
];
const WORDS = [
  ...['gelu', 'relu', 'stem', 'stage1', 'stage99', 'dinov2', 'dinov2_with_registers', 'dpt', 'depth_anything', 'dinov2_depth', 'metric'],
  ...['regression', 'BitImageProcessor', 'DPTImageProcessor', '__proto__', 'constructor', '', 'float16', 'x'.repeat(2000)],
];
/** What would be found on all objects, if a key led to what they share. */
const POISON = '{"polluted": true, "hidden_size": 64, "size": 5, "name": "x", "toString": 1, "__proto__": {"polluted": true}}';

/**
 * The JSON text of an object like one of these, of which fields are missing or doubled or of another kind, or of names that JavaScript
 * knows itself, at any depth; or of which nothing is changed.
 */
export function makeFields(roll: Dice, valid: readonly object[]): Uint8Array<ArrayBuffer> {
  const chosen = pick(roll, valid);
  const names = [...new Set(valid.flatMap(Object.keys))];
  const entries = Object.entries(chosen).map(([key, value]) => [key, JSON.stringify(value)] as [string, string]);
  for (let n = pick(roll, [0, 1, 1, 1, 2, 2, 3]); n > 0; n--) {
    const at = roll(entries.length + 1);
    const [key, text] = entries[at] ?? ['', '{}'];
    if (oneOf(roll, 4)) entries.splice(at, 0, [pick(roll, HOSTILE), oneOf(roll, 2) ? POISON : valueText(roll)]);
    else if (oneOf(roll, 8)) entries.splice(at, 1);
    else if (oneOf(roll, 16)) entries.splice(at, 0, [key, text]);
    else if (oneOf(roll, 3) && text.startsWith('{')) entries[at] = [key, deeper(text, roll)];
    else entries.splice(at, 1, [oneOf(roll, 2) ? key : pick(roll, names), valueText(roll)]);
  }
  const json = new TextEncoder().encode(`{${entries.map(([key, text]) => `${JSON.stringify(key)}: ${text}`).join(', ')}}`);
  return oneOf(roll, 12) ? mutate(json, roll) : json;
}

/** The text of an object with one more field. */
function deeper(text: string, roll: Dice): string {
  const field = `${JSON.stringify(pick(roll, HOSTILE))}: ${oneOf(roll, 2) ? POISON : valueText(roll)}`;
  return text === '{}' ? `{${field}}` : `{${field}, ${text.slice(1)}`;
}

function valueText(roll: Dice, depth = 0): string {
  const list = (item: () => string): string => Array.from({ length: roll(5) }, item).join(', ');
  switch (roll(depth > 2 ? 3 : 6)) {
    case 0:
      return pick(roll, NUMBERS);
    case 1:
      return JSON.stringify(pick(roll, WORDS));
    case 2:
      return pick(roll, ['true', 'false', 'null', '[]', '{}']);
    case 3:
      return `[${list(() => valueText(roll, depth + 1))}]`;
    case 4:
      return `[${list(() => pick(roll, NUMBERS))}]`;
    default:
      return `{${list(() => `${JSON.stringify(pick(roll, HOSTILE))}: ${valueText(roll, depth + 1)}`)}}`;
  }
}
