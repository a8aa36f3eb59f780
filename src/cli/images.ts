import { isAbsolute } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { NotFoundError } from '../errors.ts';
import { fileSystem } from '../files/source.ts';

const IN_FOLDERS = '**/*.{png,jpg,jpeg}';

export interface Found {
  /** Paths, each once: in the order of the arguments, within a folder or pattern by name. */
  readonly images: readonly string[];
  /** One for each folder or pattern without images. */
  readonly problems: readonly NotFoundError[];
}

/**
 * The images that arguments name: files, folders with all PNG and JPEG files in and below them, patterns such as "photos/*.png". What is
 * none of these is taken for a file: reading it tells that it is not there.
 */
export async function findImages(inputs: readonly string[]): Promise<Found> {
  const files = fileSystem();
  const images = new Set<string>();
  const problems: NotFoundError[] = [];
  for (const input of inputs) {
    const kind = await files.kind(input);
    if (kind === 'none' && !isDynamicPattern(input)) images.add(input);
    else if (kind === 'file') images.add(input);
    else {
      const found =
        kind === 'folder' ? await imagesBelow(input) : await glob(input, { expandDirectories: false, absolute: isAbsolute(input) });
      for (const image of found.sort()) images.add(image);
      if (found.length > 0) continue;
      const where = kind === 'folder' ? 'PNG or JPEG files in this folder' : 'files that match this pattern';
      problems.push(new NotFoundError(`${input}: expected ${where}, found none`));
    }
  }
  return { images: [...images], problems };
}

async function imagesBelow(folder: string): Promise<string[]> {
  const found = await glob(IN_FOLDERS, { cwd: folder, caseSensitiveMatch: false, expandDirectories: false });
  return found.map((image) => fileSystem().join(folder, image));
}
