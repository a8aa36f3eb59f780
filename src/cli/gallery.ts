import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeFiles } from '../files/output.ts';
import { RawImage } from '../index.ts';
import { contactSheet, encodeJpeg, type SheetGroup, type SheetPicture } from '../plot/index.ts';
import { showProgress } from './progress.ts';
import { orHostError } from './results.ts';
import { lineOf, type Terminal } from './terminal.ts';

/** An image that a result names. */
export interface GalleryImage {
  readonly image: string;
  readonly score?: number;
}

export interface GalleryGroup {
  readonly title: string;
  readonly note?: string;
  readonly query?: string;
  readonly images: readonly GalleryImage[];
}

/** Pictures of a group, and of all; the others are in lists. */
const IN_GROUP = 24;
const IN_ALL = 2000;
/** Pixels of the longer edge of a small picture. */
const EDGE = 320;

/**
 * Writes a contact sheet: small pictures are within it, the large ones are linked, from where the file is.
 * @returns how many images could not be read; they are told of
 */
export async function writeGallery(
  path: string,
  { title, note, groups }: { title: string; note?: string; groups: readonly GalleryGroup[] },
  { stderr, signal }: Terminal,
): Promise<number> {
  let room = IN_ALL;
  const planned = groups.map((group) => {
    const shown = Math.min(IN_GROUP, group.images.length, room);
    room -= shown;
    return { group, shown };
  });
  const total = IN_ALL - room + groups.filter(({ query }) => query !== undefined).length;
  const progress = showProgress(total, stderr, { bar: stderr.isTTY === true && total > IN_GROUP });
  let failed = 0;
  const picture = async ({ image, score }: GalleryImage): Promise<SheetPicture> => {
    signal.throwIfAborted();
    const source = await thumbnail(image).catch((error: unknown) => {
      failed += 1;
      progress.log(lineOf(error, image));
      return undefined;
    });
    progress.step();
    return { ...linked(path, { image, ...(score !== undefined && { score }) }), source };
  };
  try {
    const sections: SheetGroup[] = [];
    for (const { group, shown } of planned) {
      const query = group.query === undefined ? undefined : await picture({ image: group.query });
      const pictures: SheetPicture[] = [];
      for (const image of group.images.slice(0, shown)) pictures.push(await picture(image));
      const rest = group.images.slice(shown).map((image) => linked(path, image));
      sections.push({ title: group.title, ...(group.note && { note: group.note }), ...(query && { query }), pictures, rest });
    }
    const html = new TextEncoder().encode(contactSheet({ title, ...(note && { note }), groups: sections }));
    await orHostError(path, writeFiles([{ path, write: (writer) => writer.write(html) }]));
  } finally {
    progress.stop();
  }
  stderr.write(`dinov2: written to ${path}\n`);
  return failed;
}

function linked(path: string, { image, score }: GalleryImage): SheetPicture {
  const name = image.split(/[\\/]/).at(-1) as string;
  return { name, href: hrefOf(path, image), ...(score !== undefined && { note: score.toFixed(3) }) };
}

/** How a page at a path refers to a file; never the name of a protocol, however the file is called. */
export function hrefOf(page: string, file: string): string {
  const way = relative(dirname(resolve(page)), resolve(file));
  if (isAbsolute(way)) return pathToFileURL(way).href; // on another drive
  const url = way.split(sep).map(encodeURIComponent).join('/');
  return url.startsWith('../') ? url : `./${url}`;
}

/** Upright, as browsers show the large one. */
async function thumbnail(path: string): Promise<string> {
  const image = (await RawImage.read(path, { exifOrientation: true })).rgb();
  const scale = Math.min(1, EDGE / Math.max(image.width, image.height));
  const [width, height] = [image.width, image.height].map((edge) => Math.max(1, Math.round(edge * scale))) as [number, number];
  const small = scale < 1 ? await image.resize(width, height, { resample: 'bicubic' }) : image;
  return `data:image/jpeg;base64,${Buffer.from(encodeJpeg(small)).toString('base64')}`;
}
