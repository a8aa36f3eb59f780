import { shortest } from '../files/json.ts';
import { checkCount, checkOptions } from '../options.ts';
import { type ImageTasks, POOLINGS, type Pooling, type VectorIndex } from '../tasks/index.ts';
import type { Operation } from './openapi.ts';
import type { ProblemName } from './problems.ts';

/** Images that can be searched. */
export interface SearchIndex {
  /** What an answer calls each row of `vectors`. */
  readonly names: readonly string[];
  /** Their embeddings by the same model. */
  readonly vectors: VectorIndex;
  /** What these are. */
  readonly pooling: Pooling;
}

/** Who answers: {@link ImageTasks}, or what does as they do. */
export type Answerer = Pick<ImageTasks, 'available' | 'check' | 'run' | 'embed' | 'memory'>;

/** Of a URL. */
export type Query = Readonly<Record<string, string>>;

/** An operation on an image. */
export interface ImageRoute extends Operation {
  /** Refuses a wrong query, before the image is read. @throws {ArgumentError} */
  check(query: Query): void;
  /** The fields of the answer. */
  answer(image: Uint8Array, query: Query, signal: AbortSignal): Promise<object>;
}

const COMMON = {
  method: 'POST',
  takesImage: true,
  problems: [
    ...(['InvalidRequest', 'InvalidBody', 'RequestTimeout', 'BodyTooLarge', 'UnsupportedMediaType', 'UnreadableImage'] as const),
    ...(['Busy', 'TimedOut', 'Closing'] as const),
  ] satisfies ProblemName[],
} as const;

const TOP = { type: 'integer', minimum: 1 };

/** What can be asked of these, each at a path of its own. */
export function imageRoutes(tasks: Answerer, index: SearchIndex | undefined): ImageRoute[] {
  const all: Record<string, ImageRoute> = { embed: embedRoute(tasks), classify: classifyRoute(tasks) };
  return [...tasks.available.map((task) => all[task] as ImageRoute), ...(index ? [searchRoute(tasks, index)] : [])];
}

function embedRoute(tasks: Answerer): ImageRoute {
  return {
    ...COMMON,
    path: '/embed',
    summary: 'The embedding of an image.',
    parameters: {
      pooling: {
        type: 'string',
        enum: POOLINGS,
        default: 'cls',
        description: 'the class token, the mean of the patch tokens, or one behind the other',
      },
    },
    answerSchema: objectOf({ embedding: { type: 'array', items: { type: 'number' } } }),
    check: (query) => tasks.check('embed', query),
    answer: (image, query, signal) => tasks.run('embed', image, query, { signal }),
  };
}

function classifyRoute(tasks: Answerer): ImageRoute {
  return {
    ...COMMON,
    path: '/classify',
    summary: 'The labels of an image with the highest scores, best first.',
    parameters: { top: { ...TOP, default: 5, description: 'how many labels' } },
    answerSchema: objectOf({
      labels: { type: 'array', items: objectOf({ label: { type: 'string' }, score: { type: 'number', minimum: 0, maximum: 1 } }) },
    }),
    check: (query) => tasks.check('classify', withNumbers(query)),
    answer: (image, query, signal) => tasks.run('classify', image, withNumbers(query), { signal }),
  };
}

function searchRoute(tasks: Answerer, { names, vectors, pooling }: SearchIndex): ImageRoute {
  return {
    ...COMMON,
    path: '/search',
    summary: 'The images of the index that are most like an image, best first.',
    parameters: { top: { ...TOP, default: 10, description: 'how many images' } },
    answerSchema: objectOf({
      neighbors: {
        type: 'array',
        items: objectOf({ image: { type: 'string' }, score: { type: 'number', description: 'cosine similarity, -1 to 1' } }),
      },
    }),
    check(query) {
      checkOptions('search', query, ['top']);
      if (query.top !== undefined) checkCount('top', withNumbers(query).top);
    },
    async answer(image, query, signal) {
      const { top = 10 } = withNumbers(query) as { top?: number };
      const [found = []] = vectors.search(await tasks.embed(image, { pooling }, { signal }), { k: top });
      return { neighbors: found.map(({ row, score }) => ({ image: names[row], score: shortest(score) })) };
    },
  };
}

/** What looks like a whole number is one; the rest is left for who checks it. */
function withNumbers(query: Query): Record<string, unknown> {
  return Object.fromEntries(Object.entries(query).map(([name, text]) => [name, /^\d+$/.test(text) ? Number(text) : text]));
}

/** The JSON schema of an object with just these fields. */
function objectOf(properties: Readonly<Record<string, object>>): Record<string, unknown> {
  return { type: 'object', required: Object.keys(properties), additionalProperties: false, properties };
}
