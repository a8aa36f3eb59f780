import { HostError } from '../errors.ts';

/** Magic and version, before the first section. */
const HEADER = 8;
const IMPORTS = 2;
/** The kernels' only import: one entry, "env" "memory", of the kind memory, limited by a minimum of one page. */
const OWN_MEMORY = [1, 3, 0x65, 0x6e, 0x76, 6, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 2, 0, 1];
/** The same, shared: the flags say so, and a maximum of 65536 pages follows. */
const SHARED_MEMORY = [...OWN_MEMORY.slice(0, -2), 3, 1, 0x80, 0x80, 0x04];

/**
 * The kernels for a memory that threads share, of the bytes of those for a memory of their own. They use neither atomics nor places of
 * their own that they write to, so that the import of the memory is all in which the two differ (WebAssembly core specification 2.0 and
 * threads proposal, binary format: 5.5.5 import section, 5.3.7 limits): a build of its own would only be downloaded twice.
 * @throws {HostError} on bytes that import anything else
 */
export function sharedForm(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  for (let at = HEADER; at < bytes.length; ) {
    const { value: size, end: content } = unsigned(bytes, at + 1);
    const end = content + size;
    if (bytes[at] === IMPORTS) {
      if (size !== OWN_MEMORY.length || OWN_MEMORY.some((byte, i) => bytes[content + i] !== byte)) break;
      const shared = new Uint8Array(bytes.length + SHARED_MEMORY.length - OWN_MEMORY.length);
      shared.set(bytes.subarray(0, at));
      shared.set([IMPORTS, SHARED_MEMORY.length, ...SHARED_MEMORY], at);
      shared.set(bytes.subarray(end), at + 2 + SHARED_MEMORY.length);
      return shared;
    }
    at = end;
  }
  throw new HostError(
    'kernels: expected a module that imports a memory of one page and nothing else, found another: give the files of this version',
  );
}

/** A number in LEB128. */
function unsigned(bytes: Uint8Array, at: number): { value: number; end: number } {
  let value = 0;
  for (let end = at, shift = 0; ; shift += 7) {
    const byte = bytes[end++] ?? 0;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return { value, end };
  }
}
