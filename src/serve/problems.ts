import { Dinov2Error } from '../errors.ts';

interface Kind {
  readonly status: number;
  readonly title: string;
}

/** What an answer may say in place of a result, by the name in the type of its problem details. */
export const PROBLEMS = {
  InvalidRequest: { status: 400, title: 'The request is not one that the service takes' },
  InvalidBody: { status: 400, title: 'The body cannot be read' },
  NotFound: { status: 404, title: 'There is nothing at this path' },
  MethodNotAllowed: { status: 405, title: 'There is something at this path, but not for this method' },
  RequestTimeout: { status: 408, title: 'The request took too long to arrive' },
  BodyTooLarge: { status: 413, title: 'The body has more bytes than the service takes' },
  UnsupportedMediaType: { status: 415, title: 'The body is of a type that the service does not take' },
  UnreadableImage: { status: 422, title: 'The image cannot be read, or has more pixels than the service takes' },
  HeaderTooLarge: { status: 431, title: 'The header has more bytes than the service takes' },
  ClientClosedRequest: { status: 499, title: 'The client went away before there was an answer' },
  InternalError: { status: 500, title: 'The service failed' },
  Busy: { status: 503, title: 'The service has as much to do as it takes' },
  TimedOut: { status: 503, title: 'There was no result within the time that a request may take' },
  Closing: { status: 503, title: 'The service is closing' },
} as const satisfies Record<string, Kind>;

export type ProblemName = keyof typeof PROBLEMS;

/** Something to be answered with problem details. */
export class ProblemError extends Dinov2Error {
  override readonly name: string = 'ProblemError';
  readonly problem: ProblemName;
  readonly headers: Readonly<Record<string, string>>;

  constructor(problem: ProblemName, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.problem = problem;
    this.headers = headers;
  }
}

/** Errors of the library that are about what a client has sent; all others are ours. */
const OF_CLIENTS: Readonly<Record<string, ProblemName>> = {
  ArgumentError: 'InvalidRequest',
  ImageError: 'UnreadableImage',
  LimitError: 'UnreadableImage',
};

/** What an error is to a client, who is told nothing of what goes on within. */
export function problemOf(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  const name = error instanceof Dinov2Error ? OF_CLIENTS[error.name] : undefined;
  if (name) return new ProblemError(name, (error as Error).message);
  return new ProblemError('InternalError', 'expected a result, found an error, which stands in the log of the service');
}

/** RFC 9457. The type leads to the description of the problem. */
export function problemResponse({ problem, message, headers }: ProblemError): Response {
  const { status, title } = PROBLEMS[problem];
  const details = { type: `/openapi.json#/components/responses/${problem}`, title, status, detail: message };
  return new Response(JSON.stringify(details), { status, headers: { ...headers, 'content-type': 'application/problem+json' } });
}
