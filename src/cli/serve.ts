import { ThreadError } from '../errors.ts';
import { type Answerer, type Gauge, type SearchIndex, Service } from '../serve/index.ts';
import { listen, ThreadedTasks } from '../serve/node.ts';
import { VectorIndex } from '../tasks/index.ts';
import { chooseModel, type ModelChoice } from './batch.ts';
import { openDecoder } from './decoder.ts';
import { type ImageIndex, vectorsOf } from './indexFile.ts';
import { checkModel, openIndex, probePicture } from './search.ts';
import { lineOf, type Terminal } from './terminal.ts';
import { packageVersion } from './version.ts';

export interface ServeOptions extends ModelChoice {
  readonly host: string;
  readonly port: number;
  /** The folder of an index, for /search. */
  readonly index?: string;
  /** A classifier in place of the model's. */
  readonly head?: string;
  /** Bytes. */
  readonly maxBody: number;
  readonly maxPixels: number;
  readonly concurrency: number;
  /** How many requests may wait. */
  readonly queue: number;
  readonly maxConnections: number;
  /** In seconds, as the three below: from the header of a request to its answer. */
  readonly requestTime: number;
  readonly bodyTime: number;
  readonly headerTime: number;
  /** For what was accepted, at the end. */
  readonly closingTime: number;
}

/** Rows that are put into the engine at once. */
const ROWS = 4096;

/** `dinov2 serve`: answers requests until the signal says to end, and then those that it has accepted. */
export async function serveRequests(_: readonly [], options: ServeOptions, terminal: Terminal): Promise<number> {
  const { index: folder, head, maxPixels } = options;
  const found = folder === undefined ? undefined : { folder, index: await openIndex(folder) };
  const exifOrientation = options.exifOrientation ?? found?.index.model.exifOrientation;
  const decoder = options.decoder === undefined ? undefined : (await openDecoder(options.decoder)).module;
  const { source, hub, loading } = chooseModel(options, terminal);
  const reading = {
    limits: { pixels: maxPixels, ...options.limit },
    decoder,
    ...(exifOrientation && { exifOrientation }),
    ...(head !== undefined && { head }),
  };
  const tasks = await ThreadedTasks.open(source, { ...hub, ...loading, ...reading });
  try {
    await serve(tasks, found && (await searchIndex(found, tasks, options)), options, terminal);
  } finally {
    await tasks.dispose();
  }
  return 0;
}

async function serve(
  tasks: ThreadedTasks,
  index: SearchIndex | undefined,
  options: ServeOptions,
  { stderr, signal }: Terminal,
): Promise<void> {
  const failure = new AbortController();
  const service = new Service(tasks, {
    index,
    maxBody: options.maxBody,
    concurrency: options.concurrency,
    waiting: options.queue,
    bodyTime: milliseconds(options.bodyTime),
    requestTime: milliseconds(options.requestTime),
    version: packageVersion(),
    gauges: processGauges,
    onError(error) {
      stderr.write(lineOf(error));
      if (error instanceof ThreadError) failure.abort(error); // nothing will work from here on
    },
  });
  const { host, port, maxConnections } = options;
  const listening = await listen(service, { host, port, maxConnections, headerTime: milliseconds(options.headerTime) });
  const paths = [...tasks.available, ...(index ? ['search'] : [])].map((name) => `/${name}`).join(', ');
  stderr.write(`dinov2: ${listening.url} answers ${paths}, /health, /metrics and /openapi.json\n`);
  await aborted(AbortSignal.any([signal, failure.signal]));
  stderr.write('dinov2: finishing what was accepted\n');
  await listening.close({ timeLimit: milliseconds(options.closingTime) });
  index?.vectors.dispose();
  failure.signal.throwIfAborted();
}

/** @throws {CheckpointError} when another model made the index */
async function searchIndex(
  { folder, index }: { folder: string; index: ImageIndex },
  tasks: Answerer,
  { model, threads = 'auto' }: ServeOptions,
): Promise<SearchIndex> {
  const { pooling, exifOrientation, probe: expected } = index.model;
  const probe = (await tasks.embed(probePicture(), { pooling })).data;
  checkModel(folder, index.model, { name: model ?? 'the demonstration', pooling, exifOrientation, probe });
  const images = [...index.images.values()];
  const vectors = new VectorIndex(expected.length, { threads });
  for (let i = 0; i < images.length; i += ROWS) vectors.add(vectorsOf(images.slice(i, i + ROWS), expected.length), { copy: false });
  return { names: images.map(({ name }) => name), vectors, pooling };
}

/** Under the names that prom-client gives them. */
function processGauges(): Gauge[] {
  const { rss, heapUsed, external } = process.memoryUsage();
  return [
    { name: 'process_resident_memory_bytes', help: 'Memory of the process.', value: rss },
    { name: 'nodejs_heap_size_used_bytes', help: 'Memory of objects.', value: heapUsed },
    { name: 'nodejs_external_memory_bytes', help: 'Memory of arrays outside of the heap.', value: external },
    {
      name: 'nodejs_active_resources',
      help: 'Timers, sockets and the like that are open.',
      value: process.getActiveResourcesInfo().length,
    },
  ];
}

/** At most what timers can be set to, 24 days. */
const milliseconds = (seconds: number): number => Math.min(Math.ceil(1000 * seconds), 2 ** 31 - 1);

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
