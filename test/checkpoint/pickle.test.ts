import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { unpickle } from '../../src/checkpoint/pickle.ts';
import { CheckpointError } from '../../src/errors.ts';
import { refuses, valueOrNamedError } from '../helpers.ts';
import { bytes, dict, integer, number, PROTO, STOP, text, tuple } from './torchFiles.ts';

type Part = string | number | Uint8Array;

const options = {
  globals: new Map<string, unknown>([
    ['builtins.sum', (args: readonly number[]) => args.reduce((a, b) => a + b, 0)],
    ['builtins.pi', 3.14],
  ]),
  persistent: (id: unknown) => ({ id }),
  refuse: (problem: string) => new CheckpointError(problem),
};

const load = (...parts: Part[]): unknown => unpickle(bytes(PROTO, ...parts, STOP), options).value;
const refused = (parts: Part[], ...problems: string[]): Promise<void> => refuses(() => load(...parts), CheckpointError, ...problems);

test('None, booleans, numbers and strings are read', () => {
  const values: [unknown, ...Part[]][] = [
    [null, 'N'],
    [true, '\x88'],
    [false, '\x89'],
    [255, 'K', 255],
    [65535, 'M', 255, 255],
    [-2, 'J', integer(0xfffffffe, 4)],
    [0, '\x8a\x00'],
    [-1, '\x8a\x01\xff'],
    [2 ** 53 - 1, number(2 ** 53 - 1)],
    [-(2n ** 63n), '\x8a\x08', integer(2n ** 63n, 8)],
    [0x1950a86a20f9469cfc6cn, '\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19'],
    [0.1, 'G\x3f\xb9\x99\x99\x99\x99\x99\x9a'],
    ['naïve ☃', text('naïve ☃')],
    ['abc', 'U\x03abc'],
  ];
  for (const [value, ...parts] of values) assert.equal(load(...parts), value);
});

test('lists and tuples become arrays, dicts become maps', () => {
  assert.equal(load(')'), []);
  assert.equal(load('](K', 1, 'K', 2, 'eK', 3, 'a'), [1, 2, 3]);
  assert.equal(load(tuple('N', '\x88')), [null, true]);
  assert.equal(load('NNN\x87\x85N\x86'), [[[null, null, null]], null]);
  assert.equal(
    load(dict({ a: 'N' }), 'K', 5, tuple('N'), 's'),
    new Map<unknown, unknown>([
      ['a', null],
      [5, [null]],
    ]),
  );
});

test('a value that was put away can be had again', () => {
  const [first, second, third] = load(tuple(']q\x07', 'h\x07', 'r\x01\x00\x00\x00h\x07', 'j\x01\x00\x00\x00')) as unknown[];
  assert.ok(first === second && second === third);
});

test('a list that contains itself ends', () => {
  const list = load(']q\x00h\x00a') as unknown[];
  assert.ok(list[0] === list);
});

test('a key means nothing, whatever its name', () => {
  const value = load(dict({ __proto__x: 'N', constructor: 'N' }), text('__proto__'), dict({ polluted: '\x88' }), 's') as Map<
    string,
    unknown
  >;
  assert.equal([...value.keys()], ['__proto__x', 'constructor', '__proto__']);
  assert.is(({} as Record<string, unknown>).polluted, undefined);
});

test('attributes of a dict are dropped', () => {
  assert.equal(load(dict({ a: 'N' }), dict({ _metadata: 'N' }), 'b'), new Map([['a', null]]));
});

test('a known function is called, an object from outside is asked for', () => {
  assert.is(load('cbuiltins\nsum\n', tuple('K\x02', 'K\x03'), 'R'), 5);
  assert.is(load('cbuiltins\npi\n'), 3.14);
  assert.equal(load(tuple(text('storage')), 'Q'), { id: ['storage'] });
});

test('the end of the pickle is told', () => {
  assert.equal(unpickle(bytes(PROTO, 'K\x05', STOP, 'more'), options), { value: 5, end: 5 });
});

test('every other global is refused by name', async () => {
  for (const [module, name] of [
    ['os', 'system'],
    ['builtins', 'eval'],
    ['builtins', 'constructor'],
    ['', '__proto__'],
    ['torch', 'FloatStorage'],
  ]) {
    await refused([`c${module}\n${name}\n`], 'plain containers', `global "${module}.${name}"`, 'byte 2');
  }
  await refused([`cos\n${'x'.repeat(1000)}\n`], 'global "os.xxx');
});

test('every other opcode is refused by name', async () => {
  const names: Record<string, string> = {
    '0': 'POP',
    '1': 'POP_MARK',
    '2': 'DUP',
    F: 'FLOAT',
    I: 'INT',
    L: 'LONG',
    P: 'PERSID',
    S: 'STRING',
    T: 'BINSTRING',
    V: 'UNICODE',
    B: 'BINBYTES',
    C: 'SHORT_BINBYTES',
    d: 'DICT',
    g: 'GET',
    i: 'INST',
    l: 'LIST',
    o: 'OBJ',
    p: 'PUT',
    '\x81': 'NEWOBJ',
    '\x82': 'EXT1',
    '\x83': 'EXT2',
    '\x84': 'EXT4',
    '\x8b': 'LONG4',
    '\x8c': 'SHORT_BINUNICODE',
    '\x8d': 'BINUNICODE8',
    '\x8e': 'BINBYTES8',
    '\x8f': 'EMPTY_SET',
    '\x90': 'ADDITEMS',
    '\x91': 'FROZENSET',
    '\x92': 'NEWOBJ_EX',
    '\x93': 'STACK_GLOBAL',
    '\x94': 'MEMOIZE',
    '\x95': 'FRAME',
    '\x96': 'BYTEARRAY8',
    '\x97': 'NEXT_BUFFER',
    '\x98': 'READONLY_BUFFER',
  };
  for (const [code, name] of Object.entries(names)) await refused(['N', code, 'a\nb\n\x00\x00'], `opcode ${name}`, 'byte 3');
  const known = new Set('().]}GJKMNQRUXabcehjqrstu\x80\x85\x86\x87\x88\x89\x8a');
  for (let code = 0; code < 256; code++) {
    const character = String.fromCharCode(code);
    if (!known.has(character) && !(character in names)) await refused([code], `expected an opcode, found ${code}`);
  }
});

test('what the stack machine cannot do is refused', async () => {
  await refused([], '1 values on the stack');
  await refused(['N\x86'], '2 values on the stack');
  await refused(['N(\x85'], '1 values on the stack');
  await refused(['t'], 'a mark on the stack');
  await refused(['NNa'], 'a list to append to');
  await refused(['](Nu'], 'a dict');
  await refused(['}(Nu'], 'a dict, keys and values');
  await refused(['h\x01'], 'a value in memo 1');
  await refused(['N)R'], 'a function and its arguments');
  await refused(['cbuiltins\npi\n)R'], 'a function and its arguments');
  await refused(['cbuiltins\nsum\nNR'], 'a function and its arguments');
  await refused([']Nb'], 'a dict to give attributes to');
  await refused(['U\x02\xff\xff'], 'UTF-8');
  await refused(['\x80\x06'], 'protocol 5 or older, found 6');
});

test('a pickle that was cut off anywhere is refused', async () => {
  const pickle = bytes(PROTO, dict({ a: bytes('G', integer(0, 8)), b: tuple(number(5), text('x')) }), 'cbuiltins\npi\n', '0');
  for (let length = 0; length < pickle.length; length++) {
    await refuses(() => unpickle(pickle.subarray(0, length), options), CheckpointError, 'byte');
  }
  await refused(['X\xff\xff\xff\xff'], 'expected 4294967295 bytes, found the end');
});

test('a pickle of more steps than any checkpoint has is refused', async () => {
  await refused(['N'.repeat(1_000_000)], 'at most 1000000 steps');
});

test('lists within lists, however deep, are read', () => {
  let value = load('N', '\x85'.repeat(500_000)) as unknown[] | null;
  let depth = 0;
  for (; value; value = value[0] as unknown[] | null) depth += 1;
  assert.is(depth, 500_000);
});

test('any bytes give a value or a named error', () => {
  const opcode = fc.constantFrom(...'().]}GJKMNQRUXabcehjqrstu\x80\x85\x86\x87\x88\x89\x8a');
  const known = fc.constantFrom('K\x01', 'q\x00', 'h\x00', 'cbuiltins\nsum\n', 'U\x01a', '}(', ')', ']');
  return fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(opcode, known, fc.nat(255)), { maxLength: 60 }), (parts) =>
      valueOrNamedError(() => load(...parts)).then(() => {}),
    ),
    { seed: 4, numRuns: 3000 },
  );
});

test.run();
