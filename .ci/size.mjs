// The size budget: fails when a build of the kernels, or the package without weights, has grown beyond it.
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';

const KIB = 1024;
const [pack] = JSON.parse(
  execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { encoding: 'utf8', shell: process.platform === 'win32' }),
);
const withoutWeights = pack.files.filter(({ path }) => !path.startsWith('weights/')).reduce((sum, { size }) => sum + size, 0);

const budget = [
  ['kernels, simd', statSync('dist/kernels/simd.wasm').size, 120 * KIB],
  ['kernels, relaxed', statSync('dist/kernels/relaxed.wasm').size, 120 * KIB],
  ['package without weights', withoutWeights, 1200 * KIB],
];
for (const [name, size, limit] of budget) {
  const verdict = size <= limit ? 'within' : 'BEYOND';
  console.log(`${name}: ${(size / KIB).toFixed(1)} KiB, ${verdict} ${limit / KIB} KiB`);
  if (size > limit) process.exitCode = 1;
}
