import { ArgumentError } from '../errors.ts';
import { describe, isJsonObject } from '../files/json.ts';
import { IMAGE_TASKS, type ImageTask } from '../tasks/index.ts';

/** Where a picture is: one of these. */
export type Place = { readonly bytes: string } | { readonly path: string } | { readonly url: string };

export const ENCODINGS = ['array', 'base64'] as const;

/** What a job asks for. */
export interface JobRequest {
  readonly task: ImageTask;
  readonly places: readonly Place[];
  /** Whether the job is about several pictures, and so gets a list. */
  readonly isBatch: boolean;
  /** How embeddings are given: as numbers, or their bytes (float32, little-endian) as text. */
  readonly encoding: (typeof ENCODINGS)[number];
  /** Of the task. */
  readonly options: Readonly<Record<string, unknown>>;
}

const PLACES = ['bytes', 'path', 'url'];

/**
 * What a job with this name and data asks for: `{ path }`, or `{ bytes }` in base64, or `{ url }`, or `{ images: [...] }` of these; beside them
 * `encoding` and options of the task, which is the name.
 * @throws {ArgumentError} naming what is wrong
 */
export function parseRequest(name: string, data: unknown): JobRequest {
  if (!(IMAGE_TASKS as readonly string[]).includes(name))
    throw new ArgumentError(`name of the job: expected ${IMAGE_TASKS.join(' or ')}, found ${describe(name)}`);
  if (!isJsonObject(data)) throw new ArgumentError(`data of the job: expected an object, found ${describe(data)}`);
  const { bytes, path, url, images, encoding = 'array', ...options } = data;
  if (!(ENCODINGS as readonly unknown[]).includes(encoding))
    throw new ArgumentError(`encoding: expected ${ENCODINGS.join(' or ')}, found ${describe(encoding)}`);
  const own = Object.fromEntries(Object.entries({ bytes, path, url }).filter(([, value]) => value !== undefined));
  const isBatch = images !== undefined;
  if (isBatch && !(Array.isArray(images) && images.length > 0 && Object.keys(own).length === 0))
    throw new ArgumentError(`images: expected a list of places of images, and none beside it, found ${describe(images)}`);
  const places = isBatch ? (images as unknown[]).map((place, i) => placeOf(place, `images[${i}]`)) : [placeOf(own, 'data of the job')];
  return { task: name as ImageTask, places, isBatch, encoding: encoding as JobRequest['encoding'], options };
}

function placeOf(value: unknown, where: string): Place {
  const [[key, text] = [], ...others] = isJsonObject(value) ? Object.entries(value) : [];
  if (key !== undefined && others.length === 0 && PLACES.includes(key) && typeof text === 'string') return value as Place;
  throw new ArgumentError(`${where}: expected one of ${PLACES.join(', ')} as text, found ${describe(value)}`);
}
