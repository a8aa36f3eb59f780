import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transformSync } from 'esbuild';
import { ROOT } from './project.ts';

/** Folders with TypeScript; the others are linked. */
const FOLDERS = ['src', 'test', 'bench'];

/** The repository again, as JavaScript that Node runs as it is, so that a mutant is one small file written. */
export class Shadow implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'dinov2-mutants-'));
  /** All test files, from the root. */
  readonly tests: readonly string[];

  /** @param sources paths of all that is to be compiled; all else is linked or copied */
  constructor(sources: readonly string[]) {
    const tests: string[] = [];
    for (const entry of readdirSync(ROOT)) {
      if (entry === 'package.json' || entry === '.git') continue;
      if (FOLDERS.includes(entry)) tests.push(...this.#compile(entry, sources));
      else symlinkSync(join(ROOT, entry), join(this.folder, entry));
    }
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { imports: Record<string, Record<string, string>> };
    const imports = Object.fromEntries(
      Object.entries(manifest.imports).map(([name, conditions]) => [name, conditions['dinov2-source']?.replace(/ts$/, 'js')]),
    );
    const own = { ...manifest, imports };
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify(own));
    this.tests = tests;
  }

  /** Puts another text in the place of a source. */
  write(path: string, text: string): void {
    const { code } = transformSync(this.#toJs(text), {
      loader: 'ts',
      format: 'esm',
      target: 'node20',
      sourcefile: path,
      tsconfigRaw: TSCONFIG,
    });
    const target = join(this.folder, path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, code);
  }

  restore(path: string): void {
    this.write(path, readFileSync(join(ROOT, path), 'utf8'));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Relative addresses of sources become those of what is made of them, and uvu what notes the tests. */
  #toJs(text: string): string {
    const uvu = pathToFileURL(join(this.folder, 'test/mutation/uvu.js')).href;
    return text.replace(/(['"`])(\.{1,2}\/[^'"`\n]*)\.ts\1/g, '$1$2.js$1').replace(/from '(?:uvu)';/g, `from '${uvu}';`);
  }

  #compile(folder: string, sources: readonly string[]): string[] {
    mkdirSync(join(this.folder, folder), { recursive: true });
    return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory() && (entry.name === 'goldens' || entry.name === 'node_modules')) {
        symlinkSync(join(ROOT, path), join(this.folder, path));
      } else if (entry.isDirectory()) {
        return this.#compile(path, sources);
      } else if (sources.includes(path)) {
        this.restore(path);
        if (entry.name.endsWith('.test.ts')) return [path];
      } else {
        cpSync(join(ROOT, path), join(this.folder, path));
      }
      return [];
    });
  }
}

const TSCONFIG = { compilerOptions: { target: 'ES2022' as const, verbatimModuleSyntax: true } };
