import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConfigError } from '../../src/errors.ts';
import { describe, isJsonObject, parseJson } from '../../src/files/json.ts';
import { refuses } from '../helpers.ts';

const parse = (text: string): unknown => parseJson(new TextEncoder().encode(text), (problem) => new ConfigError(problem));

test('every JSON value is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 1, '\t'), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      assert.equal(parse(text), JSON.parse(text));
    }),
    { seed: 1 },
  );
});

test('text is accepted exactly where JSON.parse accepts it', () => {
  const token = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"b\\n"',
    '"',
    '\\',
    '0',
    '-1.5e3',
    '01',
    '.5',
    'true',
    'nul',
    ' ',
    '\n',
    'é',
  );
  const accepts = (read: () => unknown): boolean => {
    try {
      read();
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(fc.array(token, { maxLength: 9 }), (tokens) => {
      const text = tokens.join('');
      const again = /"a".*"a"|"b\\n".*"b\\n"/s.test(text); // may be a key given twice, which only we refuse
      if (!again)
        assert.is(
          accepts(() => parse(text)),
          accepts(() => JSON.parse(text)),
          text,
        );
    }),
    { seed: 2, numRuns: 3000 },
  );
});

test('a problem is reported with line and column, expected and found', async () => {
  await refuses(() => parse('{\n  "a": 1,\n  "b": ?\n}'), ConfigError, 'line 3, column 8: expected a value, found "?"');
  await refuses(() => parse('{"a": 1'), ConfigError, 'line 1, column 8: expected "," or "}", found the end');
  await refuses(() => parse('{"a" 1}'), ConfigError, 'expected ":", found "1"');
  await refuses(() => parse('{a: 1}'), ConfigError, 'expected a key in quotes, found "a"');
  await refuses(() => parse('"\\x"'), ConfigError, 'line 1, column 1: expected a string with known escapes');
  await refuses(() => parse('"open'), ConfigError, 'closing quote');
  await refuses(() => parse('1 2'), ConfigError, 'expected the end, found "2"');
  await refuses(() => parse(''), ConfigError, 'found the end');
});

test('a key given twice is refused by name', async () => {
  await refuses(() => parse('{"a": 1,\n "a": 2}'), ConfigError, 'line 2, column 2: expected each key once, found "a" again');
});

test('what the host writes is held to the same as any other text', async () => {
  await refuses(() => parse('{"a":1,"a":1}'), ConfigError, 'line 1, column 8: expected each key once, found "a" again');
  await refuses(() => parse('[{"a":1,"b":{"c":[],"c":[]}}]'), ConfigError, 'found "c" again');
  for (const text of ['-0', '1e400', '"\\u0041"', '{"b":0,"1":0}', '{"__proto__":[0]}']) {
    for (const spaces of ['', '  ']) assert.equal(JSON.stringify(parse(text + spaces)), JSON.stringify(JSON.parse(text)), text);
  }
  assert.ok(Object.is(parse('-0'), -0));
  for (const space of ['', ' ']) {
    const nested = (levels: number): string => `${'['.repeat(levels)}${space}${']'.repeat(levels)}`;
    assert.equal(parse(nested(65)), JSON.parse(nested(65)));
    await refuses(() => parse(nested(66)), ConfigError, 'expected at most 64 levels');
  }
});

test('"__proto__" is a key like any other', () => {
  const value = parse('{"__proto__": {"polluted": 1}}') as Record<string, unknown>;
  assert.is(Object.getPrototypeOf(value), Object.prototype);
  assert.ok(Object.hasOwn(value, '__proto__'));
  assert.is(({} as Record<string, unknown>).polluted, undefined);
});

test('endless nesting is refused instead of exhausting the stack', async () => {
  await refuses(() => parse('['.repeat(1_000_000)), ConfigError, 'expected at most 64 levels');
  await refuses(() => parse('{"a":'.repeat(1_000_000)), ConfigError, 'expected at most 64 levels');
});

test('more values than any real file has are refused instead of exhausting memory', async () => {
  await refuses(() => parse(`[${'0,'.repeat(3_000_001)}0]`), ConfigError, 'expected at most 3000000 values');
});

test('a number of a million digits is a number', () => {
  assert.is(parse('1'.repeat(1_000_000)), Number.POSITIVE_INFINITY);
});

test('bytes that are not UTF-8 are refused', async () => {
  await refuses(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22), (problem) => new ConfigError(problem)), ConfigError, 'UTF-8');
});

test('any value can be shown in a message, shortened', () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  assert.is(describe('abc'), '"abc"');
  assert.is(describe(undefined), 'nothing');
  assert.is(describe(Number.NaN), 'NaN');
  assert.is(describe(1n), 'bigint');
  assert.is(describe(cycle), `${'['.repeat(77)}...`);
  assert.is(describe(Symbol('s')), 'symbol');
  assert.is(describe('x'.repeat(1000)).length, 80);
});

test('arrays, null and maps are no JSON objects', () => {
  assert.equal([{}, Object.create(null), [], null, new Map(), 1].map(isJsonObject), [true, true, false, false, false, false]);
});

test('of a value that contains another many times over only the beginning is looked at', () => {
  let value: unknown[] = ['a'.repeat(1000)];
  for (let level = 0; level < 60; level++) value = [value, value];
  assert.is(describe(value), `${'['.repeat(61)}"aaaaaaaaaaaaaaa...`);
});

test.run();
