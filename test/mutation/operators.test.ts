import type { SourceFile } from 'typescript/unstable/ast';
import { createVirtualFileSystem } from 'typescript/unstable/fs';
import { API } from 'typescript/unstable/sync';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mutantsOf, withHits } from './operators.ts';

function withSource(text: string, body: (file: SourceFile, typeOf: Parameters<typeof mutantsOf>[1]) => void): void {
  const fs = createVirtualFileSystem({ '/a.ts': text, '/tsconfig.json': '{ "compilerOptions": { "noLib": true }, "files": ["a.ts"] }' });
  const api = new API({ cwd: '/', fs });
  try {
    const project = api.updateSnapshot({ openProjects: ['/tsconfig.json'] }).getProject('/tsconfig.json');
    const file = project?.program.getSourceFile('/a.ts');
    if (!project || !file) throw new Error('expected a project');
    body(file, (node) => project.checker.typeToString(project.checker.getTypeAtLocation(node) as never));
  } finally {
    api.close();
  }
}

function mutations(text: string): string[] {
  let found: string[] = [];
  withSource(text, (file, typeOf) => {
    found = mutantsOf(file, typeOf).map(({ kind, start, end, replacement }) => `${kind}: ${text.slice(start, end)} -> ${replacement}`);
  });
  return found;
}

test('conditions, boundaries, arithmetic, literals and what is returned are broken one at a time', () => {
  assert.equal(mutations('declare const a: number;\nexport const f = (): number => (a < 7 ? a + 1 : a);').sort(), [
    'arithmetic: + -> -',
    'boundary: < -> <=',
    'boundary: < -> >=',
    'conditional: a < 7 -> false',
    'conditional: a < 7 -> true',
    'number: 1 -> (1 + 1)',
    'number: 7 -> (7 + 1)',
    'return: (a < 7 ? a + 1 : a) -> 0',
  ]);
  assert.equal(mutations("declare const a: boolean;\nexport const b = (!a && a) || ['x'];").sort(), [
    "array: ['x'] -> []",
    'logical: && -> ||',
    'logical: || -> &&',
    'operand: !a && a -> !a',
    'operand: !a && a -> a',
    "operand: (!a && a) || ['x'] -> (!a && a)",
    "operand: (!a && a) || ['x'] -> ['x']",
    "string: 'x' -> ''",
    'unary: !a -> a',
  ]);
});

test('statements go, unless a condition that is false does the same', () => {
  assert.equal(
    mutations('declare function g(): void;\nexport function f(): void { g(); throw g; }').filter((one) => one.startsWith('statement')),
    ['statement: g(); -> ;', 'statement: throw g; -> ;'],
  );
  assert.equal(
    mutations('declare function g(): boolean;\nexport function f(): void { if (g()) throw g; if (g()) { g(); } }').filter((one) =>
      one.startsWith('statement'),
    ),
    [],
  );
});

test('types, imports and names of properties are left alone', () => {
  assert.equal(mutations("import 'x';\nexport type A = 'x' | [1];\nexport const b: { 'y': A } = { 'y': null as never };"), []);
});

test('a text with hits does what it did, and tells which statements were run', () => {
  const text = 'function f(x) { for (const y of [1, 2]) if (y > x) return ((z) => z + y)(x); else x += 1; return 0; }\nreturn f(n);';
  withSource(`function all(n) { ${text} }`, (file) => {
    const { text: instrumented, points } = withHits(file, 100);
    const run = (n: number): { result: number; hits: Set<number> } => {
      const hits = new Set<number>();
      Object.assign(globalThis, { __hit: (number: number) => hits.add(number) });
      const result = new Function('n', `${instrumented}; return all(n);`)(n) as number;
      Reflect.deleteProperty(globalThis, '__hit');
      return { result, hits };
    };
    const at = (part: string): number => 100 + points.findIndex(({ start, end }) => file.text.slice(start, end) === part);
    assert.is(run(0).result, 1);
    assert.is(run(5).result, 0);
    assert.ok(run(0).hits.has(at('z + y')) && !run(0).hits.has(at('return 0;')));
    assert.ok(!run(5).hits.has(at('z + y')) && run(5).hits.has(at('return 0;')) && run(5).hits.has(at('x += 1;')));
  });
});

test.run();
