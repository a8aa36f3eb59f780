import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Dinov2Error } from '../../src/errors.ts';
import { Dinov2Model, Tensor } from '../../src/index.ts';
import { dinov2 } from '../cli/helpers.ts';
import { withFolder } from '../helpers.ts';
import { randomFloats } from '../reference/random.ts';
import { beforeRead } from './disk.ts';
import type { Report } from './report.ts';
import { snapshotOf } from './snapshot.ts';

/** What may happen to a file while it is read: done to the file at the path, with another of the same kind at hand. */
const CHANGES: Readonly<Record<string, (path: string, other: string) => void>> = {
  truncated: (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  emptied: (path) => truncateSync(path, 0),
  'made longer': (path) => appendFileSync(path, new Uint8Array(100)),
  'written over': (path, other) => writeFileSync(path, readFileSync(other), { flag: 'r+' }),
  replaced: (path, other) => {
    copyFileSync(other, `${path}.new`);
    renameSync(`${path}.new`, path);
  },
  removed: (path) => rmSync(path),
};

/** These leave the file that was opened as it was. */
const HARMLESS = ['replaced', 'removed'];

/**
 * A checkpoint whose blocks stay in their file, which changes at each read: the features are those of the file that was opened, or there is an error.
 */
export async function changeCheckpoints(report: Report, { every = 1 }: { every?: number } = {}): Promise<void> {
  await withFolder(async (folder) => {
    const sizes = { hidden_size: 96, num_attention_heads: 2, num_hidden_layers: 6, patch_size: 14, image_size: 28 };
    for (const [name, seed] of [
      ['before', 1],
      ['other', 2],
    ] as const) {
      const model = new Dinov2Model(sizes, { seed });
      await model.save_pretrained(join(folder, name));
      model.dispose();
    }
    const pixels = new Tensor('float32', randomFloats(3 * 28 * 28, 1), [1, 3, 28, 28]);
    const features = async (source: string): Promise<Float32Array> => {
      using model = await Dinov2Model.from_pretrained(source, { memoryLimit: 1.5 * 2 ** 20 });
      await model(pixels);
      return (await model(pixels)).last_hidden_state.data;
    };
    const expected = await features(join(folder, 'before'));
    const other = join(folder, 'other', 'model.safetensors');
    const { reads } = await beforeRead(
      -1,
      () => {},
      () => features(join(folder, 'before')),
    );
    for (const [what, change] of Object.entries(CHANGES)) {
      for (let at = 0; at < reads; at += every) {
        const model = join(folder, 'model');
        cpSync(join(folder, 'before'), model, { recursive: true });
        const losses: string[] = [];
        try {
          const { result } = await beforeRead(
            at,
            () => change(join(model, 'model.safetensors'), other),
            () => features(model),
          );
          const isOther = what === 'replaced' || what === 'written over'; // before it was opened
          if (!isSame(result, expected) && !(isOther && isSame(result, await features(model)))) losses.push('silently other features');
        } catch (error) {
          if (!(error instanceof Dinov2Error)) losses.push(`no named error: ${error}`);
          else if (HARMLESS.includes(what) && /written to|shorter/.test(error.message))
            losses.push(`a harmless change is an error: ${error.message}`);
        }
        rmSync(model, { recursive: true });
        cpSync(join(folder, 'before'), model, { recursive: true });
        if (!isSame(await features(model), expected)) losses.push('other features of the file that is whole again');
        rmSync(model, { recursive: true });
        report.add(`a checkpoint is ${what} while it is streamed`, `read ${at} of ${reads}`, losses);
      }
    }
  });
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((x, i) => Object.is(x, b[i]));
}

/** Pictures that change at each read of the making of an index: the next run makes the same index as one from nothing. */
export async function changePictures(report: Report, things: string, { every = 1 }: { every?: number } = {}): Promise<void> {
  await withFolder(async (folder) => {
    const model = join(things, 'model');
    const run = (photos: string) => dinov2(['index', photos, '--model', model]);
    const start = (): string => {
      const photos = join(folder, 'photos');
      rmSync(photos, { recursive: true, force: true });
      cpSync(join(things, 'photos'), photos, { recursive: true, preserveTimestamps: true });
      return photos;
    };
    const { reads } = await beforeRead(
      -1,
      () => {},
      () => run(start()),
    );
    const other = join(things, 'more', 'e.png');
    for (const [what, change] of Object.entries(CHANGES)) {
      const alter = (path: string): void => {
        change(path, other);
        if (existsSync(path)) utimesSync(path, 1_650_000_000, 1_650_000_000); // a time that copies exactly
      };
      for (let at = 0; at < reads; at += every) {
        const photos = start();
        const losses: string[] = [];
        const { result } = await beforeRead(
          at,
          () => alter(join(photos, 'c.png')),
          () => run(photos),
        );
        if (/unexpected error/.test(result.stderr)) losses.push(result.stderr.trim());
        const again = await run(photos);
        if (/unexpected error/.test(again.stderr)) losses.push(again.stderr.trim());
        const fresh = join(folder, 'fresh');
        cpSync(photos, fresh, { recursive: true, preserveTimestamps: true });
        rmSync(join(fresh, 'dinov2-index.safetensors'), { force: true });
        await run(fresh);
        const [found, expected] = [photos, fresh].map((path) => [...snapshotOf(path)].join('\n'));
        if (found !== expected) losses.push('the index is not that of the pictures');
        rmSync(fresh, { recursive: true });
        report.add(`a picture is ${what} while a folder is indexed`, `read ${at} of ${reads}`, losses);
      }
    }
  });
}

/** Damaged pictures among good ones: each is named, the others are in the index, and so is it once it is mended. */
export async function damagePictures(report: Report, things: string): Promise<void> {
  const damages: Readonly<Record<string, (path: string) => void>> = {
    empty: (path) => truncateSync(path, 0),
    'cut in the middle': (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
    'cut by a byte': (path) => truncateSync(path, statSync(path).size - 1),
    'another format': (path) => writeFileSync(path, 'GIF89a, or so'),
    'a bit of its data turned': (path) => {
      const bytes = readFileSync(path);
      bytes[bytes.length - 30] = (bytes[bytes.length - 30] as number) ^ 1;
      writeFileSync(path, bytes);
    },
    'a picture of 2 billion pixels': (path) => {
      const bytes = readFileSync(path);
      bytes.writeUInt32BE(45_000, 16);
      bytes.writeUInt32BE(45_000, 20);
      writeFileSync(path, bytes);
    },
  };
  await withFolder(async (folder) => {
    for (const [what, damage] of Object.entries(damages)) {
      for (const name of ['a', 'b', 'd']) {
        const photos = join(folder, 'photos');
        cpSync(join(things, 'photos'), photos, { recursive: true, preserveTimestamps: true });
        const path = join(photos, `${name}.png`);
        damage(path);
        const losses: string[] = [];
        const index = () => dinov2(['index', photos, '--model', join(things, 'model'), '--json']);
        const first = await index();
        if (first.code !== 1 || !first.stderr.includes(path) || /unexpected error/.test(first.stderr))
          losses.push(`not named: ${first.stderr.trim()}`);
        if ((JSON.parse(first.stdout) as { images: number }).images !== 3) losses.push(`the others are not in the index: ${first.stdout}`);
        cpSync(join(things, 'photos', `${name}.png`), path, { preserveTimestamps: true });
        const second = await index();
        const { images, added } = JSON.parse(second.stdout) as { images: number; added: number };
        if (second.code !== 0 || images !== 4 || added !== 1) losses.push(`mended, ${images} images of which ${added} anew`);
        rmSync(photos, { recursive: true });
        report.add('a damaged picture among those of an index', `${name}.png, ${what}`, losses);
      }
    }
  });
}
