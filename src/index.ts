/** DINOv2 on WebAssembly: the models, the image processors, the tensors they speak in, and pipelines from an image to a result. */

import '#kernels';

export * from './core.ts';
