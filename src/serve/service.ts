import { ArgumentError, DisposedError, ThreadError } from '../errors.ts';
import { describe } from '../files/json.ts';
import { checkOptions } from '../options.ts';
import { readImage } from './body.ts';
import { type Gauge, Metrics } from './metrics.ts';
import { type Operation, openApi } from './openapi.ts';
import { ProblemError, problemOf, problemResponse } from './problems.ts';
import { FairQueue } from './queue.ts';
import { type Answerer, type ImageRoute, imageRoutes, type Query, type SearchIndex } from './routes.ts';

/** What a service takes at most. */
export interface ServiceLimits {
  /** Bytes of a body. Default 10 MiB. */
  readonly maxBody: number;
  /** How many images are decoded or in the model at the same time; in the model they go one after the other. Default 1. */
  readonly concurrency: number;
  /** How many more requests may be there, each with up to maxBody in memory. Default 32. */
  readonly waiting: number;
  /** From the header to the last byte of the body, in milliseconds. Default 10 s. */
  readonly bodyTime: number;
  /** From the header to the answer, in milliseconds. What is being decoded is not interrupted, and the model between blocks. Default 30 s. */
  readonly requestTime: number;
}

export interface ServiceOptions extends Partial<ServiceLimits> {
  /** Makes /search. */
  readonly index?: SearchIndex | undefined;
  /** Stands in the description of the service. */
  readonly version?: string;
  /** Further numbers for /metrics. */
  readonly gauges?: () => readonly Gauge[];
  /** Hears of errors that no client is to blame for. Default: they are written to the console. */
  readonly onError?: (error: unknown) => void;
}

export const DEFAULT_LIMITS: ServiceLimits = {
  maxBody: 10 * 2 ** 20,
  concurrency: 1,
  waiting: 32,
  bodyTime: 10_000,
  requestTime: 30_000,
};

/** Of setTimeout, in milliseconds. */
const LONGEST_TIME = 2 ** 31 - 1;

/** An operation without an image. */
interface PlainRoute extends Operation {
  answer(): Response;
}

/**
 * Embeddings, labels and neighbours of images over HTTP, as a handler of web-standard requests: `Deno.serve(service.fetch)`, `export default {
 * fetch: service.fetch }`, or in Node `listen(service)` of dinov2-wasm/serve/node. Requests wait in a {@link FairQueue}; what is refused is
 * answered with problem details (RFC 9457).
 */
export class Service {
  readonly limits: ServiceLimits;
  readonly #tasks: Answerer;
  readonly #routes: readonly (ImageRoute | PlainRoute)[];
  readonly #queue: FairQueue;
  readonly #metrics = new Metrics();
  readonly #onError: (error: unknown) => void;
  #isClosing = false;
  /** Why nothing can be computed any more. */
  #failure: Error | undefined;

  /** @param tasks what answers; it stays the caller's to dispose. @throws {ArgumentError} naming the option */
  constructor(tasks: Answerer, options: ServiceOptions = {}) {
    checkOptions('service', options, [...Object.keys(DEFAULT_LIMITS), 'index', 'version', 'gauges', 'onError']);
    const { index, version = '0.0.0', gauges = () => [], onError = console.error, ...limits } = options;
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    for (const [name, value] of Object.entries(this.limits)) checkLimit(name, value);
    this.#tasks = tasks;
    this.#queue = new FairQueue(this.limits);
    this.#onError = onError;
    const routes: (ImageRoute | PlainRoute)[] = [
      ...imageRoutes(tasks, index),
      ...['/health', '/health/ready'].map((path) => healthRoute(path, 'Whether it takes requests.', () => this.#checkReady())),
      healthRoute('/health/live', 'Whether it can still work; if not, it has to be started anew.', () => this.#checkLive()),
      {
        method: 'GET',
        path: '/metrics',
        summary: 'Numbers for Prometheus.',
        type: 'text/plain',
        answerSchema: { type: 'string' },
        problems: [],
        answer: () => new Response(this.#metrics.text([...this.#gauges(), ...gauges()]), { headers: PROMETHEUS }),
      },
      {
        method: 'GET',
        path: '/openapi.json',
        summary: 'This description.',
        answerSchema: { type: 'object' },
        problems: [],
        answer: () => Response.json(description),
      },
    ];
    const description = openApi(routes, { version, maxBody: this.limits.maxBody });
    this.#routes = routes;
  }

  /** Whether it refuses new work, because it is closing. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /**
   * Answers a request. It does not throw.
   * @param from `client`: who asks, such as an address; clients get turns in turn
   */
  readonly fetch = async (request: Request, from?: { readonly client?: unknown }): Promise<Response> => {
    const start = performance.now();
    const { pathname, searchParams } = new URL(request.url);
    const here = this.#routes.filter(({ path }) => path === pathname);
    let response: Response;
    try {
      const method = request.method === 'HEAD' ? 'GET' : request.method;
      const route = here.find((each) => each.method === method);
      if (!route) throw this.#noRoute(request.method, pathname, here);
      response = route.takesImage
        ? Response.json(await this.#work(route as ImageRoute, request, Object.fromEntries(searchParams), String(from?.client ?? '')))
        : (route as PlainRoute).answer();
    } catch (error) {
      response = problemResponse(this.#heard(error));
    }
    response.headers.set('cache-control', 'no-store');
    response.headers.set('x-content-type-options', 'nosniff');
    this.#metrics.observe(here.length > 0 ? pathname : 'other', response.status, (performance.now() - start) / 1000);
    return request.method === 'HEAD' ? new Response(null, response) : response;
  };

  /**
   * Refuses new work, and resolves when that which was accepted is done.
   * @param options `timeLimit`: in milliseconds; what is not done by then is answered with a problem. Default 30 s.
   */
  async close({ timeLimit = 30_000 }: { timeLimit?: number } = {}): Promise<void> {
    this.#isClosing = true;
    const timer = setTimeout(() => this.#queue.abortAll(closing()), timeLimit);
    await this.#queue.idle();
    clearTimeout(timer);
  }

  async #work(route: ImageRoute, request: Request, query: Query, client: string): Promise<object> {
    this.#checkReady();
    route.check(query);
    const place = this.#queue.enter(client);
    const { requestTime } = this.limits;
    const late = new ProblemError('TimedOut', `expected a result within ${requestTime / 1000} s, found none: try again later`, RETRY);
    const timer = setTimeout(place.abort, requestTime, late);
    const gone = (): void => place.abort(new ProblemError('ClientClosedRequest', 'expected a client that waits, found none'));
    request.signal.addEventListener('abort', gone, { once: true });
    if (request.signal.aborted) gone();
    try {
      const image = await readImage(request, this.limits, place.signal);
      await this.#queue.turn(place);
      return await route.answer(image, query, place.signal);
    } finally {
      request.signal.removeEventListener('abort', gone);
      clearTimeout(timer);
      this.#queue.leave(place);
    }
  }

  #heard(error: unknown): ProblemError {
    const problem = problemOf(error);
    if (problem.problem === 'InternalError' && problem !== error) this.#onError(error);
    if (error instanceof ThreadError || error instanceof DisposedError) this.#failure ??= error;
    return problem;
  }

  #noRoute(method: string, path: string, here: readonly Operation[]): ProblemError {
    if (here.length === 0) {
      const paths = this.#routes.map((route) => route.path).join(', ');
      return new ProblemError('NotFound', `path: expected one of ${paths}, found ${describe(path)}`);
    }
    const methods = here.map((route) => (route.method === 'GET' ? 'GET, HEAD' : route.method)).join(', ');
    return new ProblemError('MethodNotAllowed', `${path}: expected ${methods}, found ${method}`, { allow: methods });
  }

  #checkLive(): void {
    if (this.#failure)
      throw new ProblemError('InternalError', 'expected an engine that works, found one that failed: start the service anew');
  }

  #checkReady(): void {
    this.#checkLive();
    if (this.#isClosing) throw closing();
  }

  #gauges(): Gauge[] {
    const { running, waiting } = this.#queue;
    return [
      { name: 'dinov2_requests_running', help: 'Images that are decoded or in the model.', value: running },
      { name: 'dinov2_requests_waiting', help: 'Requests that arrive or wait.', value: waiting },
      { name: 'dinov2_model_memory_bytes', help: 'Memory that the model has taken.', value: this.#tasks.memory },
    ];
  }
}

/** In seconds. */
const RETRY = { 'retry-after': '5' };

const PROMETHEUS = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' };

function healthRoute(path: string, summary: string, check: () => void): PlainRoute {
  return {
    method: 'GET',
    path,
    summary,
    problems: ['Closing'],
    answerSchema: { type: 'object', required: ['status'], properties: { status: { type: 'string', enum: ['ok'] } } },
    answer() {
      check();
      return Response.json({ status: 'ok' });
    },
  };
}

function closing(): ProblemError {
  return new ProblemError('Closing', 'expected a service that takes requests, found one that is closing: ask another, or later', RETRY);
}

function checkLimit(name: string, value: unknown): void {
  const least = name === 'waiting' ? 0 : 1;
  if (Number.isSafeInteger(value) && (value as number) >= least && (!name.endsWith('Time') || (value as number) <= LONGEST_TIME)) return;
  throw new ArgumentError(`${name}: expected a whole number of at least ${least}, found ${describe(value)}`);
}
