import { BODY_TYPES } from './body.ts';
import { PROBLEMS, type ProblemName } from './problems.ts';

type Json = Readonly<Record<string, unknown>>;

/** What the description says of one way to call the service. */
export interface Operation {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly summary: string;
  /** Of the query, by name: JSON schemas with a description. */
  readonly parameters?: Readonly<Record<string, Json & { readonly description: string }>>;
  /** Whether it takes an image. */
  readonly takesImage?: boolean;
  /** The type of the answer. Default JSON. */
  readonly type?: string;
  /** The JSON schema of the answer. */
  readonly answerSchema: Json;
  /** What else it may be. */
  readonly problems: readonly ProblemName[];
}

const FILE = { contentMediaType: 'application/octet-stream', description: 'the bytes of a PNG or JPEG file' };

/** By type of body. */
const BODIES: { readonly [Type in (typeof BODY_TYPES)[number]]: Json } = {
  'image/*': { schema: FILE },
  'application/octet-stream': { schema: FILE },
  'multipart/form-data': { schema: { type: 'object', required: ['image'], properties: { image: FILE } } },
  'application/json': {
    schema: {
      type: 'object',
      required: ['image'],
      additionalProperties: false,
      properties: { image: { type: 'string', contentEncoding: 'base64', description: 'a PNG or JPEG file in base64, or as a data: URL' } },
    },
  },
};

const PROBLEM = {
  type: 'object',
  description: 'Problem details (RFC 9457)',
  required: ['type', 'title', 'status', 'detail'],
  properties: {
    type: { type: 'string', format: 'uri-reference' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'what was expected, what was found, what to do' },
  },
};

const RETRY = { 'Retry-After': { description: 'seconds', schema: { type: 'integer' }, required: true } };
/** Headers that come with problems; those of one status have the same. */
const HEADERS: { readonly [Name in ProblemName]?: Json } = {
  Busy: RETRY,
  TimedOut: RETRY,
  Closing: RETRY,
  MethodNotAllowed: { Allow: { description: 'what there is', schema: { type: 'string' }, required: true } },
};

/** The description of a service (OpenAPI 3.1) that can be called in these ways. */
export function openApi(operations: readonly Operation[], { version, maxBody }: { version: string; maxBody: number }): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const operation of operations) {
    const { method, path } = operation;
    paths[path] = { ...paths[path], [method.toLowerCase()]: describeOperation(operation, maxBody) };
  }
  const problems = new Set(operations.flatMap((operation) => operation.problems));
  return {
    openapi: '3.1.0',
    info: {
      title: 'dinov2 serve',
      version,
      description: 'Embeddings and labels of images, by DINOv2 on WebAssembly.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      responses: Object.fromEntries([...problems, ...EVERYWHERE].map((name) => [name, describeProblem(name)])),
      schemas: { Problem: PROBLEM },
    },
  };
}

/** Problems of requests that are no operation. */
const EVERYWHERE: readonly ProblemName[] = [
  'InvalidRequest',
  'NotFound',
  'MethodNotAllowed',
  'RequestTimeout',
  'HeaderTooLarge',
  'InternalError',
];

function describeOperation({ path, summary, parameters = {}, takesImage, type, answerSchema, problems }: Operation, maxBody: number): Json {
  return {
    operationId: path.slice(1).replaceAll(/\W(\w)/g, (_, letter: string) => letter.toUpperCase()),
    summary,
    parameters: Object.entries(parameters).map(([name, { description, ...schema }]) => ({ name, in: 'query', description, schema })),
    ...(takesImage && {
      requestBody: {
        required: true,
        description: `an image, in at most ${maxBody} bytes`,
        content: Object.fromEntries(BODY_TYPES.map((bodyType) => [bodyType, BODIES[bodyType]])),
      },
    }),
    responses: {
      200: { description: 'The answer', content: { [type ?? 'application/json']: { schema: answerSchema } } },
      ...responsesOf([...problems, 'InternalError']),
    },
  };
}

/** Several problems may have the same status. */
function responsesOf(problems: readonly ProblemName[]): Json {
  const statuses = new Set(problems.map((name) => PROBLEMS[name].status));
  return Object.fromEntries(
    Array.from(statuses, (status) => {
      const [first, ...others] = problems.filter((name) => PROBLEMS[name].status === status) as [ProblemName, ...ProblemName[]];
      if (others.length === 0) return [status, { $ref: `#/components/responses/${first}` }];
      const description = [first, ...others].map((name) => `${name}: ${PROBLEMS[name].title}`).join('; ');
      return [status, { ...describeProblem(first), description }];
    }),
  );
}

function describeProblem(name: ProblemName): Json {
  const headers = HEADERS[name];
  return {
    description: PROBLEMS[name].title,
    ...(headers && { headers }),
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
}
