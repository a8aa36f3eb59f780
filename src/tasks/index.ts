/** What is done with the outputs of the models: embeddings, labels, patch features and their principal components. */
export { type Classification, classify, labelScores } from './classify.ts';
export { embed, POOLINGS, type Pooling } from './embed.ts';
export { patchAlignedSize, patchFeatures, patchGrid } from './features.ts';
export { type PcaOptions, type PrincipalComponents, pca, principalComponents } from './pca.ts';
