import { dinov2, traced } from './dinov2.ts';
import type { Engine } from './engine.ts';
import { onnxruntimeWeb } from './onnxruntime-web.ts';
import { tfjs } from './tfjs.ts';

/** In the order of the tables. The first is what the others are compared with. */
export const ENGINES: readonly Engine[] = [onnxruntimeWeb, tfjs, dinov2, traced];
