// For Node, Deno and Bun: [photo, build] pairs as JSON in, results as JSON out. The model is the one in the package.
import * as library from 'dinov2-wasm';
import { compute } from '../program.mjs';

const results = [];
for (const [photo, build, threads] of JSON.parse(process.argv[2]))
  results.push({ photo, ...(await compute(library, library.EMBEDDED_MODEL, photo, { build, threads })) });
console.log(JSON.stringify(results));
