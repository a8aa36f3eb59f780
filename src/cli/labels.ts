import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from 'commander';
import { isJsonObject, parseJson } from '../files/json.ts';

/** The option `--labels`, as the configuration of a model. */
export interface LabelsOption {
  readonly config?: { readonly id2label: Readonly<Record<number, string>> };
}

/**
 * Names of labels out of a file: one a line, or JSON, an array or an object by number as id2label of config.json is.
 * @throws {InvalidArgumentError} saying what is wrong
 */
export async function readLabels(file: string | undefined): Promise<LabelsOption> {
  if (file === undefined) return {};
  const refuse = (problem: string): Error => new InvalidArgumentError(`--labels ${file}: ${problem}.`);
  const bytes = await readFile(file).catch((error: Error) => {
    throw refuse(`expected a file of names, ${error.message}`);
  });
  const text = new TextDecoder().decode(bytes).trim();
  const value = /^[[{]/.test(text) ? parseJson(bytes, refuse) : text.split('\n').map((line) => line.trim());
  const names = isJsonObject(value) ? Object.keys(value).map((_, i) => value[i]) : value;
  if (!Array.isArray(names) || names.length === 0 || !names.every((name) => typeof name === 'string' && name !== '')) {
    throw refuse('expected a name a line, a JSON array of names, or an object of them by number from 0 on, found other things');
  }
  return { config: { id2label: { ...(names as string[]) } } };
}
