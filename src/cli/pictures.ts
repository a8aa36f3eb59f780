import { basename } from 'node:path';
import { ArgumentError } from '../errors.ts';
import { writeFiles } from '../files/output.ts';
import { fileSystem } from '../files/source.ts';
import { orHostError } from './results.ts';

/**
 * The file in a folder for the picture of each image: its name, and `ending`.
 * @param option what asks for the pictures, for the message
 * @throws {ArgumentError} when two images would have the same
 */
export function picturePaths(
  folder: string,
  images: readonly string[],
  { option, ending }: { option: string; ending: string },
): ReadonlyMap<string, string> {
  const byPath = new Map<string, string>();
  for (const image of images) {
    const path = fileSystem().join(folder, `${basename(image)}${ending}`);
    const other = byPath.get(path);
    if (other !== undefined)
      throw new ArgumentError(`${option}: expected images of different names, found ${other} and ${image}: run them separately`);
    byPath.set(path, image);
  }
  return new Map(Array.from(byPath, ([path, image]) => [image, path]));
}

/** Writes the bytes of a picture. @throws {HostError} when it cannot be written */
export async function writePicture(path: string, bytes: Uint8Array): Promise<void> {
  await orHostError(path, writeFiles([{ path, write: (writer) => writer.write(bytes) }]));
}
