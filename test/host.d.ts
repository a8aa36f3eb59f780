import '../src/hosts/builtin/inline.ts';

export { host } from '../src/hosts/node.ts';
