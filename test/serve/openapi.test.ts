import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Service } from '../../src/serve/index.ts';
import { VectorIndex } from '../../src/tasks/index.ts';
import { png, post, serviceOf, withTasks } from './helpers.ts';

type Json = Record<string, unknown>;

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly schema: Json }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> };
  readonly responses: Readonly<
    Record<string, { readonly content: Readonly<Record<string, { readonly schema: Json }>>; readonly headers?: Json }>
  >;
}

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, { readonly description: string }>> };
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** The description of a service with everything, with its references resolved. */
async function withDescription(body: (service: Service, description: Description) => Promise<void>): Promise<void> {
  await withTasks(async (tasks) => {
    using vectors = disposable(new VectorIndex(8));
    vectors.add(await tasks.embed(png(1)));
    vectors.add(await tasks.embed(png(2)));
    const service = serviceOf(tasks, { version: '1.2.3', index: { names: ['a.png', 'b.png'], vectors, pooling: 'cls' } });
    const found = await (await service.fetch(new Request('http://localhost/openapi.json'))).json();
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(found));
    assert.ok(valid, JSON.stringify(errors));
    assert.is(validator.version, '3.1');
    await body(service, validator.resolveRefs() as unknown as Description);
  });
}

function disposable<T extends { dispose(): void }>(value: T): T & Disposable {
  return Object.assign(value, { [Symbol.dispose]: () => value.dispose() });
}

function operationOf(paths: Description['paths'], path: string): Operation {
  const operation = paths[path]?.post;
  if (!operation) throw new Error(`${path}: expected an operation`);
  return operation;
}

/** Checks an answer against what the description says of it. */
async function check({ responses }: Operation, response: Response): Promise<void> {
  const described = responses[response.status];
  assert.ok(described, `${response.status} is described`);
  const type = (response.headers.get('content-type') ?? '').split(';')[0] as string;
  assert.equal(Object.keys(described.content), [type]);
  for (const header of Object.keys(described.headers ?? {})) assert.ok(response.headers.has(header), header);
  const ajv = new Ajv2020({ strict: false, formats: { 'uri-reference': true } });
  const value = type.endsWith('json') ? await response.json() : await response.text();
  assert.ok(ajv.validate((described.content[type] as { schema: Json }).schema, value), `${JSON.stringify(value)}: ${ajv.errorsText()}`);
}

test('the description is valid OpenAPI 3.1, and of each operation the answer is as it says', async () => {
  await withDescription(async (service, { paths }) => {
    assert.equal(Object.keys(paths), [
      ...['/embed', '/classify', '/search', '/health', '/health/ready', '/health/live'],
      ...['/metrics', '/openapi.json'],
    ]);
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const ask = (query: string): Promise<Response> =>
          service.fetch(method === 'post' ? post(path + query) : new Request(`http://localhost${path}${query}`));
        const response = await ask('');
        assert.is(response.status, 200);
        await check(operation, response);
        for (const { name, schema } of operation.parameters) {
          const value = (schema.enum as string[] | undefined)?.at(-1) ?? '2';
          assert.is((await ask(`?${name}=${value}`)).status, 200, name);
          assert.is((await ask(`?${name}=${schema.default}`)).status, 200, name);
          const refused = await ask(`?${name}=-1`);
          assert.is(refused.status, 400);
          await check(operation, refused);
        }
      }
    }
  });
});

test('there are no other operations, and operations have names of their own', async () => {
  await withDescription(async (service, { paths }) => {
    const names = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
    assert.is(new Set(names).size, names.length);
    for (const path of [...Object.keys(paths), '/', '/index', '/embed/', '/health/other']) {
      for (const method of METHODS) {
        const { status } = await service.fetch(new Request(`http://localhost${path}`, { method }));
        const isDescribed = paths[path]?.[method.toLowerCase()] !== undefined;
        assert.is(![404, 405].includes(status), isDescribed, `${method} ${path}: ${status}`);
      }
    }
  });
});

test('bodies of the types that are described are taken, and no others', async () => {
  await withDescription(async (service, { paths }) => {
    const { requestBody } = operationOf(paths, '/embed');
    const bodies: Record<string, [BodyInit, string?]> = {
      'image/*': [png(), 'image/webp'],
      'application/octet-stream': [png(), 'application/octet-stream'],
      'multipart/form-data': [
        (() => {
          const form = new FormData();
          form.set('image', new Blob([png()]));
          return form;
        })(),
      ],
      'application/json': [JSON.stringify({ image: Buffer.from(png()).toString('base64') }), 'application/json'],
    };
    assert.equal(Object.keys(requestBody?.content ?? {}), Object.keys(bodies));
    for (const [body, type] of Object.values(bodies)) {
      assert.is((await service.fetch(post('/embed', body, type ? { 'content-type': type } : {}))).status, 200, type);
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'multipart/mixed', 'image']) {
      assert.is((await service.fetch(post('/embed', 'a', { 'content-type': type }))).status, 415, type);
    }
  });
});

test('problems are as they are described, and their types lead to the descriptions', async () => {
  await withDescription(async (service, { paths, components }) => {
    const operation = operationOf(paths, '/embed');
    const json = { 'content-type': 'application/json' };
    for (const [request, status] of [
      [post('/embed?x=1'), 400],
      [post('/embed', '{', json), 400],
      [post('/embed', new Uint8Array(11 * 2 ** 20)), 413],
      [post('/embed', 'a', {}), 415],
      [post('/embed', 'a'), 422],
    ] as const) {
      const response = await service.fetch(request);
      assert.is(response.status, status);
      const { type, title } = (await response.clone().json()) as { type: string; title: string };
      const [, name = ''] = /^\/openapi\.json#\/components\/responses\/(\w+)$/.exec(type) ?? [];
      assert.is(components.responses[name]?.description, title);
      await check(operation, response);
    }
    await service.close();
    const response = await service.fetch(post('/embed'));
    assert.is(response.status, 503);
    await check(operation, response);
  });
});

test('an encoder alone has no /classify, and without an index there is no /search', async () => {
  await withTasks(async (tasks) => {
    const encoder = Object.create(tasks, { available: { value: ['embed'] } }) as typeof tasks;
    const { paths } = (await (await serviceOf(encoder).fetch(new Request('http://localhost/openapi.json'))).json()) as Description;
    assert.not(paths['/classify']);
    assert.not(paths['/search']);
    assert.ok(paths['/embed']);
  });
});

test.run();
