/** The pieces of a message's bytes, in order. Large fields are pieces of their own, not copied before {@link join}. */
export type Message = readonly Uint8Array[];

/** Wire types of protobuf.dev/programming-guides/encoding. */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

const encoder = new TextEncoder();

/** A field of type int32, int64 or enum; `value` from 0 to 2^53. */
export function integer(field: number, value: number): Message {
  return [Uint8Array.from([...tag(field, VARINT), ...varint(value)])];
}

export function float(field: number, value: number): Message {
  const word = new Uint8Array(4);
  new DataView(word.buffer).setFloat32(0, value, true);
  return [Uint8Array.from(tag(field, FIXED32)), word];
}

export function text(field: number, value: string): Message {
  return bytes(field, encoder.encode(value));
}

/** A field of type bytes; `value` is copied by {@link join}. */
export function bytes(field: number, value: Uint8Array): Message {
  return message(field, [value]);
}

/** A field that is a message, with the fields `parts`. */
export function message(field: number, ...parts: readonly Message[]): Message {
  const pieces = parts.flat();
  return [Uint8Array.from([...tag(field, LENGTH_DELIMITED), ...varint(lengthOf(pieces))]), ...pieces];
}

/** The message as one array. */
export function join(pieces: Message): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(lengthOf(pieces));
  let end = 0;
  for (const piece of pieces) {
    whole.set(piece, end);
    end += piece.length;
  }
  return whole;
}

function lengthOf(pieces: Message): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

function tag(field: number, wireType: number): number[] {
  return varint(field * 8 + wireType);
}

/** Groups of seven bits, the lowest first; all but the last with the high bit set. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
