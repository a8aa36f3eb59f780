// The host of what runs on the sources, entering them anywhere: tests and benchmarks.
import '../src/hosts/builtin/inline.ts';

export { host } from '../src/hosts/node.ts';
