import type { Judged } from './score.ts';

/** Mutants that change nothing which can be observed. They count as survivors all the same; the report says how many of these they are. */
export const EQUIVALENT: readonly (Pick<Judged, 'path' | 'code' | 'original' | 'replacement'> & { readonly reason: string })[] = [];
