/** The tensors and their operations on their own. */

import '#kernels';

export * from './tensor/index.ts';
