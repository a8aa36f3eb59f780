/** What is done with the outputs of the models: embeddings, labels, classifiers of one's own, patch features and their principal components. */
export { type Classification, classify, labelScores } from './classify.ts';
export { type DepthKind, depthImage, depthKind, rangeOf } from './depth.ts';
export { duplicates } from './duplicates.ts';
export { embed, POOLINGS, type Pooling } from './embed.ts';
export { type ClassEvaluation, type Evaluation, evaluate } from './evaluation.ts';
export { patchAlignedSize, patchFeatures, patchGrid } from './features.ts';
export { classifyFeatures, type FeatureClassifier, isFeatureClassifier, loadFeatureClassifier } from './fitted.ts';
export { KnnClassifier, type KnnOptions } from './knn.ts';
export { type FitOptions, type FitProgress, type FittedProbe, fitLinearProbe, LinearProbe, type Validation } from './linearProbe.ts';
export { type PcaOptions, type PrincipalComponents, pca, principalComponents } from './pca.ts';
export { maskOf, type Segment, segmentsOf } from './segmentation.ts';
export { type Neighbor, VectorIndex } from './vectorIndex.ts';
