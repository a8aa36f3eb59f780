import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}

interface Sbom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly serialNumber: string;
  readonly version: number;
  readonly metadata: { readonly component: { readonly name: string; readonly purl: string } };
  readonly components: readonly {
    readonly 'bom-ref': string;
    readonly name: string;
    readonly version: string;
    readonly hashes: readonly { readonly alg: string; readonly content: string }[];
    readonly licenses: readonly { readonly license?: { readonly id: string }; readonly expression?: string }[];
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, 'utf8');
const manifest = JSON.parse(read('package.json')) as Record<string, object | undefined>;
const lockedIn = (file: string) =>
  Object.entries((JSON.parse(read(file)) as { packages: Record<string, Locked> }).packages)
    .filter(([path]) => path !== '')
    .map(([path, entry]) => ({ ...entry, name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length) }));
const locked = lockedIn('package-lock.json');
/** Optional peers that are installed for tests only. */
const peersOfTests = lockedIn('test/queue/package-lock.json');
const installed = locked.filter(({ dev }) => !dev);

/** Packages with install scripts, none of which comes with ours; each is spoken of in docs/dependencies.md. */
const WITH_INSTALL_SCRIPT = ['esbuild'];

/** All that may be in the package beside the modules that package.json names. */
const PACKED = [
  /^(package\.json|README\.md|LICENSE)$/,
  /^dist\/chunks\/[\w-]+\.js$/, // what the modules share
  /^dist\/(\w+\/)+(t|\w+T)hread\.js$/, // started by their address
  /^dist\/(?!web\/|cli\/)([\w-]+\/)*[\w-]+\.d\.ts$/,
  /^dist\/kernels\/(simd|relaxed)\.wasm$/,
  /^weights\/(README\.md|config\.json|preprocessor_config\.json|model\.safetensors)$/,
];

/** What the build adds to the sources. */
const MADE = /^dist\/(kernels|chunks)\/|^dist\/hosts\/builtin\/wasm\.d\.ts$/;

/** All strings in an object of objects. */
function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return Object.values(value ?? {}).flatMap(stringsIn);
}

function npm(...args: readonly string[]): string {
  return execFileSync('npm', args, {
    cwd: ROOT,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

test('every dependency is in the README, and in docs/dependencies.md with its licence', () => {
  const [readme, page] = [read('README.md'), read('docs/dependencies.md')];
  const named = [manifest.dependencies, manifest.devDependencies, manifest.peerDependencies].flatMap((all) => Object.keys(all ?? {}));
  for (const name of named.filter((each) => !each.startsWith('@types/'))) assert.ok(readme.includes(`\`${name}\``), `README.md: ${name}`);
  for (const name of new Set([...named, ...installed.map((each) => each.name)])) {
    const line = page.split('\n').find((text) => text.includes(`\`${name}\``));
    assert.ok(line, `docs/dependencies.md: ${name}`);
    const { license } = (locked.find((each) => each.name === name) ?? peersOfTests.find((each) => each.name === name)) as Locked;
    assert.ok(line.includes(license as string), `docs/dependencies.md: ${name}: ${license}`);
  }
});

test('what the sources import is installed with the package, or an optional peer that is asked for when it is needed', () => {
  const [dependencies, peers] = [manifest.dependencies, manifest.peerDependencies].map((all) => Object.keys(all ?? {})) as [
    string[],
    string[],
  ];
  const found = new Set<string>();
  for (const path of readdirSync(`${ROOT}/src`, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))) {
    const text = read(`src/${path}`);
    for (const [, type, loaded, asked] of text.matchAll(
      /^(?:import|export) (type )?[^;]*?from '([^'.#][^']*)';|\bimport\('([^'.#][^']*)'\)/gm,
    )) {
      const name = /^(@[^/]+\/)?[^/]+/.exec((loaded ?? asked) as string)?.[0] as string;
      if (name.startsWith('node:') || type) continue;
      found.add(name);
      assert.ok(dependencies.includes(name) || (asked && peers.includes(name)), `src/${path}: ${name}`);
    }
  }
  for (const name of dependencies) assert.ok(found.has(name), `${name} is imported by nothing`);
});

test('the lock file has the checksum of every package and the address of none', () => {
  for (const { name, integrity, resolved } of locked) {
    assert.match(integrity ?? 'nothing', /^sha512-/, name);
    assert.is(resolved, undefined, name);
  }
});

test('no package that is installed has an install script, and no other but those which are known', () => {
  assert.equal(
    installed.filter((each) => each.hasInstallScript).map((each) => each.name),
    [],
  );
  assert.equal(
    locked.filter((each) => each.hasInstallScript).map((each) => each.name),
    WITH_INSTALL_SCRIPT,
  );
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) assert.not.ok(Object.hasOwn(manifest.scripts ?? {}, name), name);
});

test('the package has just what it needs: modules that have a source, kernels, the embedded model', () => {
  const [pack] = JSON.parse(npm('pack', '--dry-run', '--json', '--ignore-scripts')) as [{ files: { path: string }[] }];
  const paths = pack.files.map(({ path }) => path);
  const named = ['exports', 'imports', 'bin'].flatMap((field) => stringsIn(manifest[field])).map((path) => path.replace(/^\.\//, ''));
  const modules = paths.filter((path) => path.endsWith('.js'));
  const texts = modules.map(read);
  for (const path of paths) {
    assert.ok(named.includes(path) || PACKED.some((pattern) => pattern.test(path)), `${path} should not be packed`);
    const file = path.slice(path.lastIndexOf('/') + 1);
    if (path.startsWith('dist/chunks/'))
      assert.ok(
        texts.some((text) => text.includes(`/${file}`)),
        `${path} is imported by nothing`,
      );
    const source = path.replace(/^dist\//, 'src/').replace(/(\.d\.ts|\.js)$/, '.ts');
    if (path.startsWith('dist/') && !MADE.test(path))
      assert.ok(existsSync(`${ROOT}/${source}`), `${path} is left of a source that is gone`);
  }
  for (const needed of [
    'LICENSE',
    'README.md',
    'dist/index.js',
    'dist/kernels/simd.wasm',
    'dist/kernels/relaxed.wasm',
    'weights/model.safetensors',
  ]) {
    assert.ok(paths.includes(needed), `${needed} should be packed`);
  }
});

test('the SBOM has all that is installed, with versions, licences and checksums, and nothing else', () => {
  const make = (): string =>
    execFileSync(process.execPath, [`${ROOT}/.ci/sbom.mjs`], { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const text = make();
  const sbom = JSON.parse(text) as Sbom;
  assert.is(sbom.bomFormat, 'CycloneDX');
  assert.is(sbom.specVersion, '1.5');
  assert.is(sbom.version, 1);
  assert.match(sbom.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/); // the pattern of the schema
  assert.is(sbom.metadata.component.name, 'dinov2-wasm');
  assert.equal(
    sbom.components.map(({ name, version, licenses: [licence] }) => [name, version, licence?.license?.id ?? licence?.expression]).sort(),
    installed.map(({ name, version, license }) => [name, version, license]).sort(),
  );
  for (const { name, hashes } of sbom.components) {
    const hash = `sha512-${Buffer.from(hashes[0]?.content ?? '', 'hex').toString('base64')}`;
    assert.is(hash, locked.find((each) => each.name === name)?.integrity, name);
  }
  const refs = new Set(['dinov2-wasm@0.1.0', ...sbom.components.map((component) => component['bom-ref'])]);
  assert.equal(new Set(sbom.dependencies.map(({ ref }) => ref)), refs);
  for (const ref of sbom.dependencies.flatMap(({ dependsOn }) => dependsOn)) assert.ok(refs.has(ref), ref);
  assert.is(make(), text);
});

test.run();
