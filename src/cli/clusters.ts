import { fileSystem } from '../files/source.ts';
import { clusterFeatures } from '../tasks/index.ts';
import { writeGallery } from './gallery.ts';
import { type IndexedImage, vectorsOf } from './indexFile.ts';
import { openIndex } from './search.ts';
import { Pipe, type Terminal } from './terminal.ts';

export interface ClustersOptions {
  readonly json?: boolean;
  readonly html?: string;
  /** Default: chosen. */
  readonly count?: number;
  readonly seed?: number;
}

/** `dinov2 clusters`: groups of like images of an index. It needs no model. @returns how many images a contact sheet lacks */
export async function findClusters(
  folder: string,
  { json = false, html, count, seed = 0 }: ClustersOptions,
  terminal: Terminal,
): Promise<number> {
  const { model, images } = await openIndex(folder);
  const all = [...images.values()];
  const { clusters, silhouettes } =
    all.length > 0 ? clusterFeatures(vectorsOf(all, model.probe.length), { count, seed }) : { clusters: [], silhouettes: [] };
  const groups = clusters.map(({ rows, scores }) =>
    rows.map((row, i) => ({
      image: fileSystem().join(folder, (all[row] as IndexedImage).name),
      score: Number((scores[i] as number).toPrecision(9)),
    })),
  );
  const titleOf = (group: readonly unknown[], i: number): string =>
    `cluster ${i + 1}: ${group.length} image${group.length === 1 ? '' : 's'}`;
  const pipe = new Pipe(terminal.stdout);
  if (json) {
    await pipe.write(`${JSON.stringify({ silhouettes, clusters: groups.map((members) => ({ images: members })) }, null, 2)}\n`);
  } else if (html === undefined) {
    for (const [i, group] of groups.entries())
      await pipe.write(`${titleOf(group, i)}\n${group.map(({ image, score }) => `  ${score.toFixed(4)}  ${image}\n`).join('')}`);
  }
  if (html === undefined) return 0;
  const sheet = {
    title: `Clusters of ${folder}`,
    note: `${all.length} images, ${groups.length} clusters, the most typical images first, each with its likeness to the centre`,
    groups: groups.map((members, i) => ({ title: titleOf(members, i), images: members })),
  };
  return writeGallery(html, sheet, terminal);
}
