import { fileURLToPath } from 'node:url';
import type { SourceFile } from 'typescript/unstable/ast';
import { API, type Project, type Snapshot } from 'typescript/unstable/sync';
import { type Mutant, mutantsOf } from './operators.ts';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '');

/** A text in the place of a source. */
export interface Replaced {
  readonly path: string;
  readonly text: string;
}

/** The sources as the compiler sees them, with other text in one file at a time. */
export class TypeScriptProject implements Disposable {
  readonly #other = new Map<string, string>();
  readonly #api = new API({ cwd: ROOT, fs: { readFile: (path) => this.#other.get(path) } });
  readonly #configuration = `${ROOT}/tsconfig.json`;
  #snapshot: Snapshot = this.#api.updateSnapshot({ openProjects: [this.#configuration] });

  /** Paths from the root of what tsconfig.json includes, declarations apart. */
  get files(): string[] {
    return this.#project.rootFiles.filter((file) => !file.endsWith('.d.ts')).map((file) => file.slice(ROOT.length + 1));
  }

  /** @param path from the root, such as "src/image/png.ts" */
  source(path: string): SourceFile {
    const file = this.#project.program.getSourceFile(`${ROOT}/${path}`);
    if (!file) throw new Error(`${path}: expected a file of tsconfig.json`);
    return file;
  }

  mutants(path: string): Mutant[] {
    const { checker } = this.#project;
    return mutantsOf(this.source(path), (node) => {
      const type = checker.getTypeAtLocation(node);
      return type ? checker.typeToString(type) : '';
    });
  }

  /**
   * Of texts that might stand in the place of files, those by which the file has errors. Errors that other files would have are not looked at.
   * Several at a time, because a look at one costs nearly as much as at all.
   */
  refused(texts: readonly Replaced[]): Set<Replaced> {
    const refused = new Set<Replaced>();
    for (let rest = [...texts]; rest.length > 0; ) {
      const round = rest.filter((one, i) => rest.findIndex(({ path }) => path === one.path) === i); // a text for each file
      rest = rest.filter((one) => !round.includes(one));
      for (const suspect of this.#withErrors(round)) if (round.length === 1 || this.#withErrors([suspect]).length > 0) refused.add(suspect);
    }
    return refused;
  }

  [Symbol.dispose](): void {
    this.#api.close();
  }

  get #project(): Project {
    const project = this.#snapshot.getProject(this.#configuration);
    if (!project) throw new Error(`${this.#configuration}: expected a project`);
    return project;
  }

  #withErrors(round: readonly Replaced[]): Replaced[] {
    for (const { path, text } of round) this.#other.set(`${ROOT}/${path}`, text);
    this.#update([...this.#other.keys()]);
    const { program } = this.#project;
    const hasErrors = (file: string): boolean =>
      program.getSyntacticDiagnostics(file).length > 0 || program.getSemanticDiagnostics(file).length > 0;
    const found = round.filter(({ path }) => hasErrors(`${ROOT}/${path}`));
    const changed = [...this.#other.keys()];
    this.#other.clear();
    this.#update(changed);
    return found;
  }

  #update(changed: string[]): void {
    const last = this.#snapshot;
    this.#snapshot = this.#api.updateSnapshot({ fileChanges: { changed } });
    last.dispose();
  }
}
