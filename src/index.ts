/** DINOv2 on WebAssembly: the models, the image processor and the tensors they speak in. */

import '#kernels';

export * from './core.ts';
