import { ArgumentError, ShapeError } from '../errors.ts';
import { uniforms } from '../nn/random.ts';
import { checkOptions } from '../options.ts';
import { type Float32, linear, Tensor } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
import { unitRows } from './unitRows.ts';

export interface ClusterOptions {
  /** How many clusters: 1 to the number of rows. Default: chosen, see {@link clusterFeatures}. */
  count?: number | undefined;
  /** The most that are chosen. Default 50. */
  maxCount?: number | undefined;
  /** Of the random numbers by which the first centres are drawn. Default 0. */
  seed?: number | undefined;
}

export interface Cluster {
  /** Its rows, the most typical first: by their cosine similarity to the centre. */
  readonly rows: readonly number[];
  /** Of each of them, its cosine similarity to the centre, -1 to 1. */
  readonly scores: readonly number[];
  /** (width), of length 1: from the mean of all to theirs. */
  readonly center: Float32;
}

export interface Clustering {
  /** The largest first. */
  readonly clusters: readonly Cluster[];
  /** Of the numbers of clusters that were compared, where none was given, the mean silhouette: -1 to 1, more is better. */
  readonly silhouettes: readonly { readonly count: number; readonly silhouette: number }[];
}

/** Rows at a time. */
const BLOCK = 4096;
/** Rows by which a number of clusters is chosen: all pairs of them are compared. */
const SAMPLE = 2048;
const RUNS = 4;
const MAX_ITERATIONS = 100;
/** What a mean silhouette has to exceed to speak for more than one cluster (Kaufman and Rousseeuw 1990, "Finding Groups in Data"). */
const LEAST_SILHOUETTE = 0.25;
/** Rows nearer than this to the mean are the mean, but for rounding. */
const NEAREST = 1e-5;

/**
 * Groups of like features (n, width): what all have in common, the mean of them as unit vectors, is taken off; then k-means by cosine similarity
 * (spherical k-means, Dhillon and Modha 2001, "Concept Decompositions for Large Sparse Text Data Using Clustering"), its first centres drawn by
 * greedy k-means++ (Arthur and Vassilvitskii 2007), the best of four runs. The same features and seed give the same clusters.
 *
 * Where no `count` is given it is that of the largest mean silhouette (Rousseeuw 1987, "Silhouettes: a Graphical Aid to the Interpretation and
 * Validation of Cluster Analysis") by cosine distance, of an even sample of 2048 rows: each number up to 12, then every one about a tenth larger.
 * @throws {ShapeError} {DTypeError} {ArgumentError}
 */
export function clusterFeatures(features: Tensor, options: ClusterOptions = {}): Clustering {
  checkOptions('clusterFeatures', options, ['count', 'maxCount', 'seed']);
  checkDims('features', [-1, -1], features.dims);
  const { count, maxCount = 50, seed = 0 } = options;
  const [n] = features.dims as [number, number];
  if (n === 0) throw new ShapeError('features: expected at least one row, found none');
  if (count !== undefined && !(Number.isSafeInteger(count) && count >= 1 && count <= n))
    throw new ArgumentError(`count: expected an integer from 1 to ${n}, the number of rows, found ${count}`);
  if (!(Number.isSafeInteger(maxCount) && maxCount >= 1))
    throw new ArgumentError(`maxCount: expected an integer of at least 1, found ${maxCount}`);
  const rows = deviations(unitRows(finite(features.to('float32'))));
  const silhouettes = count === undefined ? compareCounts(rows, maxCount, seed) : [];
  const best = silhouettes.reduce((a, b) => (b.silhouette > a.silhouette ? b : a), { count: 1, silhouette: LEAST_SILHOUETTE });
  return { clusters: clustersOf(bestMeans(rows, count ?? best.count, seed)), silhouettes };
}

function finite(features: Float32): Float32 {
  const wrong = features.data.findIndex((x) => !Number.isFinite(x));
  if (wrong === -1) return features;
  throw new ArgumentError(`features[${Math.floor(wrong / (features.dims[1] as number))}]: expected finite numbers, found others`);
}

/** Rows (n, width) without their mean, as unit rows. Changes the rows given. */
function deviations(rows: Float32): Float32 {
  const [n, width] = rows.dims as [number, number];
  const { data } = rows;
  const sums = new Float64Array(width);
  for (let i = 0; i < data.length; i++) sums[i % width] = (sums[i % width] as number) + (data[i] as number);
  for (let i = 0; i < n; i++) {
    const row = data.subarray(i * width, (i + 1) * width);
    let square = 0;
    for (let j = 0; j < width; j++) {
      row[j] = (row[j] as number) - (sums[j] as number) / n;
      square += (row[j] as number) ** 2;
    }
    if (square < NEAREST ** 2) row.fill(0);
  }
  return unitRows(rows);
}

interface Means {
  /** (count, width), of length 1 */
  readonly centers: Float32;
  /** Of each row, its cluster. */
  readonly labels: Int32Array;
  /** Of each row, its cosine similarity to the centre. */
  readonly scores: Float32Array;
  readonly total: number;
}

function compareCounts(rows: Float32, maxCount: number, seed: number): { count: number; silhouette: number }[] {
  const sample = evenSample(rows);
  const most = Math.min(maxCount, (sample.dims[0] as number) - 1);
  const similarities = linear(sample, sample).data;
  const found: { count: number; silhouette: number }[] = [];
  for (let count = 2; count <= most; count = Math.max(count + 1, count > 12 ? Math.round(count * 1.1) : 0)) {
    found.push({ count, silhouette: meanSilhouette(similarities, bestMeans(sample, count, seed).labels, count) });
  }
  return found;
}

function evenSample(rows: Float32): Float32 {
  const [n, width] = rows.dims as [number, number];
  if (n <= SAMPLE) return rows;
  const sample = new Tensor('float32', new Float32Array(SAMPLE * width), [SAMPLE, width]);
  for (let i = 0; i < SAMPLE; i++) sample.data.set(rows.at(Math.floor((i * n) / SAMPLE)).data, i * width);
  return sample;
}

/** Of similarities (n, n): the mean of (b - a) / max(a, b), a a row's mean distance to the others of its cluster, b to the next cluster; 0 if alone. */
function meanSilhouette(similarities: Float32Array, labels: Int32Array, count: number): number {
  const n = labels.length;
  const sizes = new Float64Array(count);
  for (const label of labels) sizes[label] = (sizes[label] as number) + 1;
  let total = 0;
  for (let i = 0; i < n; i++) {
    const sums = new Float64Array(count);
    for (let j = 0; j < n; j++) {
      const label = labels[j] as number;
      if (j !== i) sums[label] = (sums[label] as number) + 1 - (similarities[i * n + j] as number);
    }
    const own = labels[i] as number;
    if ((sizes[own] as number) < 2) continue;
    const a = (sums[own] as number) / ((sizes[own] as number) - 1);
    let b = Number.POSITIVE_INFINITY;
    for (let c = 0; c < count; c++) if (c !== own && (sizes[c] as number) > 0) b = Math.min(b, (sums[c] as number) / (sizes[c] as number));
    total += (b - a) / (Math.max(a, b) || 1);
  }
  return total / n;
}

function bestMeans(rows: Float32, count: number, seed: number): Means {
  let best: Means | undefined;
  for (let run = 0; run < RUNS; run++) {
    const found = means(rows, drawCenters(rows, count, uniforms(seed, `clusters ${count} ${run}`)));
    if (!best || found.total > best.total) best = found;
  }
  return best as Means;
}

/** k-means from these centres on, until no row changes its cluster. */
function means(rows: Float32, first: Float32): Means {
  let centers = first;
  let assigned = assign(rows, centers);
  for (let iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
    centers = centersOf(rows, assigned, first.dims[0] as number);
    const next = assign(rows, centers);
    const isSame = next.labels.every((label, i) => label === assigned.labels[i]);
    assigned = next;
    if (isSame) break;
  }
  return { centers, ...assigned, total: assigned.scores.reduce((sum, score) => sum + score, 0) };
}

type Assignment = Pick<Means, 'labels' | 'scores'>;

/** The centre each row is most like, of like ones the first. */
function assign(rows: Float32, centers: Float32): Assignment {
  const n = rows.dims[0] as number;
  const count = centers.dims[0] as number;
  const labels = new Int32Array(n);
  const scores = new Float32Array(n);
  visitSimilarities(rows, centers, (data, first) => {
    for (let i = 0; i * count < data.length; i++) {
      let best = 0;
      for (let c = 1; c < count; c++) if ((data[i * count + c] as number) > (data[i * count + best] as number)) best = c;
      labels[first + i] = best;
      scores[first + i] = data[i * count + best] as number;
    }
  });
  return { labels, scores };
}

/** Calls `visit` with the products of some rows and others, (rows, others), those from row `first` on. */
function visitSimilarities(rows: Float32, others: Float32, visit: (data: Float32Array, first: number) => void): void {
  const n = rows.dims[0] as number;
  for (let first = 0; first < n; first += BLOCK) visit(linear(rows.slice(first, Math.min(n, first + BLOCK)), others).data, first);
}

/** The directions of the sums of the rows of each cluster. One without rows gets the row that is least like its own centre. */
function centersOf(rows: Float32, { labels, scores }: Assignment, count: number): Float32 {
  const [n, width] = rows.dims as [number, number];
  const sums = new Float64Array(count * width);
  const sizes = new Float64Array(count);
  for (let i = 0; i < n; i++) {
    const label = labels[i] as number;
    sizes[label] = (sizes[label] as number) + 1;
    const [from, to] = [i * width, label * width];
    for (let j = 0; j < width; j++) sums[to + j] = (sums[to + j] as number) + (rows.data[from + j] as number);
  }
  const taken = new Set<number>();
  for (let c = 0; c < count; c++) {
    if ((sizes[c] as number) > 0) continue;
    let least = -1;
    for (let i = 0; i < n; i++) {
      const isWorse = least === -1 || (scores[i] as number) < (scores[least] as number);
      if (isWorse && !taken.has(i) && (sizes[labels[i] as number] as number) > 1) least = i;
    }
    if (least === -1) continue; // fewer different rows than clusters
    taken.add(least);
    sums.set(rows.at(least).data, c * width);
  }
  return unitRows(new Tensor('float32', Float32Array.from(sums), [count, width]));
}

/**
 * Rows, each the best of a few that are drawn with chances in proportion to their distances from those before (greedy k-means++): 1 - cosine, half the
 * square of the distance of unit rows.
 */
function drawCenters(rows: Float32, count: number, random: () => number): Float32 {
  const [n, width] = rows.dims as [number, number];
  const trials = 2 + Math.floor(Math.log(count));
  const centers = new Tensor('float32', new Float32Array(count * width), [count, width]);
  let distances = new Float32Array(n).fill(1);
  for (let c = 0; c < count; c++) {
    const drawn = Array.from({ length: trials }, () => draw(distances, random));
    const options = nearer(distances, rows, drawn);
    const totals = options.map((option) => option.reduce((sum, distance) => sum + distance, 0));
    const best = totals.indexOf(Math.min(...totals));
    centers.data.set(rows.at(drawn[best] as number).data, c * width);
    distances = options[best] as Float32Array<ArrayBuffer>;
  }
  return centers;
}

/** A place, with a chance in proportion to its weight; any where all are 0. */
function draw(weights: Float32Array, random: () => number): number {
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const place = weights.findIndex((weight) => {
    left -= weight;
    return weight > 0 && left <= 0;
  });
  return place === -1 ? Math.floor(random() * weights.length) : place;
}

/** Distances from the nearest of those before and, in turn, each of the rows drawn. */
function nearer(distances: Float32Array, rows: Float32, drawn: readonly number[]): Float32Array<ArrayBuffer>[] {
  const width = rows.dims[1] as number;
  const others = new Tensor('float32', new Float32Array(drawn.length * width), [drawn.length, width]);
  for (const [i, row] of drawn.entries()) others.data.set(rows.at(row).data, i * width);
  const options = drawn.map(() => Float32Array.from(distances));
  visitSimilarities(rows, others, (data, first) => {
    for (const [at, similarity] of data.entries()) {
      const option = options[at % drawn.length] as Float32Array;
      const row = first + Math.floor(at / drawn.length);
      option[row] = Math.min(option[row] as number, Math.max(0, 1 - similarity));
    }
  });
  for (const [i, row] of drawn.entries()) (options[i] as Float32Array)[row] = 0;
  return options;
}

function clustersOf({ centers, labels, scores }: Means): Cluster[] {
  const groups: number[][] = Array.from({ length: centers.dims[0] as number }, () => []);
  for (const [row, label] of labels.entries()) groups[label]?.push(row);
  const scoreOf = (row: number): number => scores[row] as number;
  return groups
    .map((rows, c) => ({ rows: rows.sort((a, b) => scoreOf(b) - scoreOf(a) || a - b), center: centers.at(c) as Float32 }))
    .filter(({ rows }) => rows.length > 0)
    .map(({ rows, center }) => ({ rows, scores: rows.map(scoreOf), center }))
    .sort((a, b) => b.rows.length - a.rows.length || (a.rows[0] as number) - (b.rows[0] as number));
}
