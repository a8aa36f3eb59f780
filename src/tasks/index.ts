/** What is done with the outputs of the models: embeddings, labels, classifiers of one's own, patch features and their principal components, attention, matches, neighbours, clusters. */
export { attentionMaps, Rollout } from './attention.ts';
export { type Classification, classify, labelScores } from './classify.ts';
export { type Cluster, type Clustering, type ClusterOptions, clusterFeatures } from './clusters.ts';
export { type DepthKind, depthImage, depthKind, rangeOf } from './depth.ts';
export { duplicates } from './duplicates.ts';
export { embed, POOLINGS, type Pooling } from './embed.ts';
export { type ClassEvaluation, type Evaluation, evaluate } from './evaluation.ts';
export { type Grid, patchFeatures, patchGrid } from './features.ts';
export { classifyFeatures, type FeatureClassifier, isFeatureClassifier, loadFeatureClassifier } from './fitted.ts';
export {
  type Patch,
  type PatchFrame,
  type Point,
  patchAlignedSize,
  patchAt,
  patchFrame,
  pointOf,
  type WholePhoto,
  wholePhoto,
} from './frame.ts';
export {
  checkTask,
  IMAGE_TASKS,
  type ImageTask,
  type ImageTaskRequests,
  type ImageTaskResults,
  ImageTasks,
  type ImageTasksOptions,
  type RunOptions,
} from './imageTasks.ts';
export { KnnClassifier, type KnnOptions } from './knn.ts';
export { type FitOptions, type FitProgress, type FittedProbe, fitLinearProbe, LinearProbe, type Validation } from './linearProbe.ts';
export { type DensePatches, matchPatches, matchPoint, type PatchMatch, similarityMap, spreadMatches } from './match.ts';
export {
  FOREGROUNDS,
  type Foreground,
  fitPatchPca,
  type PatchColors,
  type PatchPca,
  type PatchPcaOptions,
  type PcaOptions,
  type PrincipalComponents,
  principalComponents,
} from './pca.ts';
export { maskOf, type Segment, segmentsOf } from './segmentation.ts';
export { type Neighbor, VectorIndex } from './vectorIndex.ts';
