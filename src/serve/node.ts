/** The service on a port of Node, and on other hosts that have `node:http`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { HostError } from '../errors.ts';
import { checkCount, checkOptions } from '../options.ts';
import { ProblemError, problemResponse } from './problems.ts';
import type { Service } from './service.ts';

export { ThreadedTasks, type ThreadedTasksOptions } from './threadedTasks.ts';

export interface ListenOptions {
  /** Address or name of the interface. Default 127.0.0.1: this machine alone. */
  readonly host?: string;
  /** Default 8080; 0 takes any that is free. */
  readonly port?: number;
  /** From the first byte of a connection or request to the end of its header, in milliseconds. Default 10 s. */
  readonly headerTime?: number;
  /** Connections at the same time; further ones are closed. Default 256. */
  readonly maxConnections?: number;
}

/** A service that can be reached. */
export interface Listening {
  /** Where. */
  readonly url: string;
  /** Lets the process end although it is listening. */
  unref(): void;
  /** Finishes what was accepted, as {@link Service.close}, and closes the port. */
  close(options?: { timeLimit?: number }): Promise<void>;
}

/** For answers that are being written, in milliseconds. */
const LINGER = 1000;
/** How often Node looks for connections that are too slow, in milliseconds. */
const CHECK = 500;

/**
 * Lets the service answer on a port.
 * @throws {HostError} when the port cannot be had; {ArgumentError} naming the option
 */
export async function listen(service: Service, options: ListenOptions = {}): Promise<Listening> {
  checkOptions('listen', options, ['host', 'port', 'headerTime', 'maxConnections']);
  const { host = '127.0.0.1', port = 8080, headerTime = 10_000, maxConnections = 256 } = options;
  checkCount('headerTime', headerTime);
  checkCount('maxConnections', maxConnections);
  const server = createServer({
    headersTimeout: headerTime,
    requestTimeout: headerTime + service.limits.bodyTime + LINGER, // the service itself is faster, and says what is wrong
    connectionsCheckingInterval: CHECK,
    keepAliveTimeout: 5000,
    requireHostHeader: false, // without one it is refused below, with problem details
  });
  server.maxConnections = maxConnections;
  for (const event of ['request', 'checkExpectation']) {
    server.on(event, (request, response) => void answer(service, request, response)); // what else is expected is passed over
  }
  server.on('checkContinue', (request, response) => void answer(service, request, response, () => response.writeContinue()));
  server.on('clientError', refuse);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new HostError(`${host}:${port}: expected a free port, found ${cause.message}`, { cause })));
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    unref: () => void server.unref(),
    async close(closing) {
      await service.close(closing);
      await closeServer(server);
    },
  };
}

/** Answers that are being written are given the time of a linger. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), LINGER);
  await closed;
  clearTimeout(timer);
}

/** @param onWanted hears that the body is wanted */
async function answer(service: Service, incoming: IncomingMessage, outgoing: ServerResponse, onWanted = (): void => {}): Promise<void> {
  const leaving = new AbortController();
  outgoing.on('error', () => {}); // a client that went away
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) leaving.abort();
  });
  const request = requestOf(incoming, leaving.signal, onWanted);
  const response = request
    ? await service.fetch(request, { client: incoming.socket.remoteAddress })
    : problemResponse(malformed('another request'));
  const body = new Uint8Array(await response.arrayBuffer());
  if (outgoing.destroyed) return;
  const isRead = incoming.complete;
  for (const [name, value] of response.headers) outgoing.setHeader(name, value);
  if (!isRead || service.isClosing) outgoing.setHeader('connection', 'close');
  if (incoming.method !== 'HEAD') outgoing.setHeader('content-length', body.length);
  outgoing.writeHead(response.status);
  if (!isRead) linger(incoming, response.status === 408 ? LINGER : service.limits.bodyTime);
  outgoing.end(body);
}

/**
 * Passes over what a client still sends, for some milliseconds, for many read the answer only then; and hangs up. Node would close the connection with
 * the answer (`resOnFinish` in lib/_http_server.js): what is sent to one that is closed is answered with a reset, which the answer gets lost in.
 */
function linger(incoming: IncomingMessage, time: number): void {
  const { socket } = incoming;
  socket.destroySoon = () => void socket.end(); // its own direction
  incoming.removeAllListeners('readable').resume();
  const timer = setTimeout(() => socket.destroy(), time);
  socket.once('close', () => clearTimeout(timer));
}

/** Undefined for what web-standard requests cannot say, or lacks a host (RFC 9112, 3.2). */
function requestOf(incoming: IncomingMessage, signal: AbortSignal, onWanted: () => void): Request | undefined {
  const { method = 'GET', url = '/' } = incoming;
  const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
  if (incoming.httpVersion === '1.1' && incoming.headers.host === undefined) return undefined;
  const hasBody = method !== 'GET' && method !== 'HEAD';
  try {
    const init: RequestInit = { method, headers, signal };
    if (hasBody) Object.assign(init, { body: bodyOf(incoming, onWanted), duplex: 'half' });
    return new Request(url.startsWith('/') ? `http://localhost${url}` : url, init);
  } catch {
    return undefined;
  }
}

/** The body as a stream, of which nothing is read before it is asked for. */
function bodyOf(incoming: IncomingMessage, onWanted: () => void): ReadableStream<Uint8Array> {
  let pieces: AsyncIterator<Buffer> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (!pieces) onWanted();
        pieces ??= incoming.iterator({ destroyOnReturn: false });
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(new Uint8Array(value));
      },
    },
    { highWaterMark: 0 },
  );
}

/** What is not HTTP, too long, or too slow: it never becomes a request. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const response = problemResponse(REFUSALS.get(error.code) ?? malformed(error.message));
  void response.text().then((text) => {
    const head = [
      `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status]}`,
      `content-type: ${response.headers.get('content-type')}`,
      `content-length: ${Buffer.byteLength(text)}`,
      'connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
  });
}

const REFUSALS: ReadonlyMap<string | undefined, ProblemError> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', new ProblemError('RequestTimeout', 'request: expected its header and body sooner')],
  ['HPE_HEADER_OVERFLOW', new ProblemError('HeaderTooLarge', 'header: expected less bytes')],
]);

function malformed(found: string): ProblemError {
  return new ProblemError('InvalidRequest', `request: expected HTTP/1.1 with a host, a path, and a method that there is, found ${found}`);
}
