import type { ColumnSource } from 'hyparquet-writer';
import { npyHeader } from '../checkpoint/npy.ts';
import { ArgumentError, HostError } from '../errors.ts';
import { type OutputFile, writeFiles } from '../files/output.ts';
import type { AtomicWriter } from '../hosts/host.ts';
import { type ImageIndex, type IndexedImage, sortedByName, vectorPieces } from './indexFile.ts';
import { orHostError } from './results.ts';
import { openIndex } from './search.ts';
import { Pipe, type Terminal } from './terminal.ts';

export const EXPORT_FORMATS = ['npy', 'parquet'] as const;

export interface ExportOptions {
  readonly output: string;
  readonly json?: boolean;
}

/** Images of a row group: what is held at a time while a Parquet file is written. */
const GROUP = 4096;

/** `dinov2 export`: the vectors of an index, with the names of their images, for other programs. It needs no model. */
export async function exportIndex(folder: string, { output, json = false }: ExportOptions, { stdout }: Terminal): Promise<number> {
  const index = await openIndex(folder);
  const images = sortedByName(index.images.values());
  const width = index.model.probe.length;
  const files = output.toLowerCase().endsWith('.npy') ? npyFiles(output, images, width) : [await parquetFile(output, images, index)];
  await orHostError(output, writeFiles(files));
  const paths = files.map(({ path }) => path);
  const text = json
    ? JSON.stringify({ images: images.length, width, files: paths }, null, 2)
    : `${images.length} images, vectors of ${width} numbers  ${paths.join('  ')}`;
  await new Pipe(stdout).write(`${text}\n`);
  return 0;
}

/** @throws {ArgumentError} when a name cannot stand in a line */
function npyFiles(path: string, images: readonly IndexedImage[], width: number): OutputFile[] {
  const broken = images.find(({ name }) => /[\r\n]/.test(name));
  if (broken)
    throw new ArgumentError(
      `output: expected .parquet, for a name has more than one line: ${JSON.stringify(broken.name)}, found "${path}"`,
    );
  const names = new TextEncoder().encode(images.map(({ name }) => `${name}\n`).join(''));
  return [
    {
      path,
      async write(writer) {
        await writer.write(npyHeader({ dtype: 'float32', dims: [images.length, width] }));
        for await (const { buffer, byteOffset, byteLength } of vectorPieces(images, width)) {
          await writer.write(new Uint8Array(buffer, byteOffset, byteLength));
        }
      },
    },
    { path: path.replace(/\.npy$/i, '.txt'), write: (writer) => writer.write(names) },
  ];
}

/** Columns name, size (bytes), time (of the last change) and vector: a list of as many float32 in each row. */
async function parquetFile(path: string, images: readonly IndexedImage[], { model }: ImageIndex): Promise<OutputFile> {
  const { ByteWriter, ParquetWriter } = await import('hyparquet-writer').catch((cause: Error) => {
    throw new HostError('parquet: expected the package hyparquet-writer, found none: npm install hyparquet-writer', { cause });
  });
  const { name, pooling, exifOrientation, probe } = model;
  const write = async (writer: AtomicWriter): Promise<void> => {
    const bytes = new ByteWriter();
    const flush = async (): Promise<void> => {
      await writer.write(bytes.getBytes());
      bytes.index = 0;
    };
    const file = new ParquetWriter({
      writer: Object.assign(bytes, { flush, finish: flush }),
      schema: [
        { name: 'index', num_children: 4 },
        { name: 'name', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
        { name: 'size', type: 'INT64', repetition_type: 'REQUIRED' },
        { name: 'time', type: 'INT64', converted_type: 'TIMESTAMP_MILLIS', repetition_type: 'REQUIRED' },
        { name: 'vector', converted_type: 'LIST', repetition_type: 'REQUIRED', num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
      ],
      kvMetadata: [{ key: 'dinov2_index', value: JSON.stringify({ model: name, pooling, exifOrientation, width: probe.length }) }],
      createdBy: 'dinov2-wasm',
    });
    for (let i = 0; i < images.length; i += GROUP)
      await file.write({ columnData: columnsOf(images.slice(i, i + GROUP)), rowGroupSize: GROUP });
    await file.finish();
  };
  return { path, write };
}

function columnsOf(images: readonly IndexedImage[]): ColumnSource[] {
  return [
    { name: 'name', data: images.map(({ name }) => name) },
    { name: 'size', data: images.map(({ size }) => BigInt(size)) },
    { name: 'time', data: images.map(({ time }) => new Date(time)) },
    { name: 'vector', data: images.map(({ vector }) => Array.from(vector)), encoding: 'PLAIN', codec: 'UNCOMPRESSED', statistics: false },
  ];
}
