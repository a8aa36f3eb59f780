import { describe } from './json.ts';

/** Steps after which a pickle is refused, for each may take memory. A checkpoint of the largest DINOv2 has 30 thousand. */
const MAX_STEPS = 1_000_000;
/** The newest version of the protocol (PEP 574). */
const MAX_PROTOCOL = 5;

/** Names of all opcodes, as in CPython's Lib/pickle.py: those of one character, and those from 0x80 on. */
const CHARACTERS: Readonly<Record<string, string>> = {
  '(': 'MARK',
  ')': 'EMPTY_TUPLE',
  '.': 'STOP',
  '0': 'POP',
  '1': 'POP_MARK',
  '2': 'DUP',
  ']': 'EMPTY_LIST',
  '}': 'EMPTY_DICT',
  B: 'BINBYTES',
  C: 'SHORT_BINBYTES',
  F: 'FLOAT',
  G: 'BINFLOAT',
  I: 'INT',
  J: 'BININT',
  K: 'BININT1',
  L: 'LONG',
  M: 'BININT2',
  N: 'NONE',
  P: 'PERSID',
  Q: 'BINPERSID',
  R: 'REDUCE',
  S: 'STRING',
  T: 'BINSTRING',
  U: 'SHORT_BINSTRING',
  V: 'UNICODE',
  X: 'BINUNICODE',
  a: 'APPEND',
  b: 'BUILD',
  c: 'GLOBAL',
  d: 'DICT',
  e: 'APPENDS',
  g: 'GET',
  h: 'BINGET',
  i: 'INST',
  j: 'LONG_BINGET',
  l: 'LIST',
  o: 'OBJ',
  p: 'PUT',
  q: 'BINPUT',
  r: 'LONG_BINPUT',
  s: 'SETITEM',
  t: 'TUPLE',
  u: 'SETITEMS',
};
const FROM_0X80 = [
  ...['PROTO', 'NEWOBJ', 'EXT1', 'EXT2', 'EXT4', 'TUPLE1', 'TUPLE2', 'TUPLE3', 'NEWTRUE', 'NEWFALSE', 'LONG1', 'LONG4'],
  ...['SHORT_BINUNICODE', 'BINUNICODE8', 'BINBYTES8', 'EMPTY_SET', 'ADDITEMS', 'FROZENSET', 'NEWOBJ_EX', 'STACK_GLOBAL'],
  ...['MEMOIZE', 'FRAME', 'BYTEARRAY8', 'NEXT_BUFFER', 'READONLY_BUFFER'],
];

/** Stands for a Python function: its value for given arguments. */
export type PickleFunction = (args: readonly unknown[]) => unknown;

export interface PickleOptions {
  /** What stands for "module.name"; only a {@link PickleFunction} can be called. Every other name is refused. */
  readonly globals: ReadonlyMap<string, unknown>;
  /** What stands for an object outside the pickle. */
  persistent(id: unknown): unknown;
  /** Makes the error to throw out of what is wrong. */
  refuse(problem: string): Error;
}

/**
 * The value of a pickle and where it ends. None, numbers, strings, lists, tuples and dicts only, as null, number, bigint beyond 2^53, string, array, array and Map (so
 * that no key means anything); attributes of a dict are dropped. The opcodes are those of torch/_weights_only_unpickler.py, less those
 * that make objects. Nothing of the file is executed: a global is a name to be looked up in `globals`, and all others are refused.
 */
export function unpickle(bytes: Uint8Array, options: PickleOptions): { value: unknown; end: number } {
  return new Machine(bytes, options).run();
}

/** The stack machine of CPython's Lib/pickle.py. */
class Machine {
  readonly #bytes: Uint8Array;
  readonly #data: DataView;
  readonly #options: PickleOptions;
  readonly #stack: unknown[] = [];
  /** Heights of the stack. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  #at = 0;
  /** Where the opcode at work stands. */
  #start = 0;

  constructor(bytes: Uint8Array, options: PickleOptions) {
    this.#bytes = bytes;
    this.#data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#options = options;
  }

  run(): { value: unknown; end: number } {
    for (let step = 0; step < MAX_STEPS; step++) {
      this.#start = this.#at;
      const code = this.#bytes[this.#take(1)] as number;
      const name = CHARACTERS[String.fromCharCode(code)] ?? FROM_0X80[code - 0x80];
      if (name === 'STOP') return { value: this.#pop(), end: this.#at };
      if (name === undefined) throw this.#refuse(`expected an opcode, found ${code}`);
      this.#execute(name);
    }
    throw this.#refuse(`expected at most ${MAX_STEPS} steps, found more`);
  }

  #execute(opcode: string): void {
    switch (opcode) {
      case 'PROTO':
        return this.#checkProtocol(this.#uint8());
      case 'NONE':
        return this.#push(null);
      case 'NEWTRUE':
        return this.#push(true);
      case 'NEWFALSE':
        return this.#push(false);
      case 'BININT':
        return this.#push(this.#data.getInt32(this.#take(4), true));
      case 'BININT1':
        return this.#push(this.#uint8());
      case 'BININT2':
        return this.#push(this.#data.getUint16(this.#take(2), true));
      case 'LONG1':
        return this.#push(this.#long(this.#uint8()));
      case 'BINFLOAT':
        return this.#push(this.#data.getFloat64(this.#take(8)));
      case 'BINUNICODE':
        return this.#push(this.#text(this.#uint32()));
      case 'SHORT_BINSTRING':
        return this.#push(this.#text(this.#uint8()));
      case 'EMPTY_TUPLE':
      case 'EMPTY_LIST':
        return this.#push([]);
      case 'EMPTY_DICT':
        return this.#push(new Map());
      case 'MARK':
        this.#marks.push(this.#stack.length);
        return;
      case 'TUPLE':
        return this.#push(this.#popMark());
      case 'TUPLE1':
        return this.#push(this.#popMany(1));
      case 'TUPLE2':
        return this.#push(this.#popMany(2));
      case 'TUPLE3':
        return this.#push(this.#popMany(3));
      case 'APPEND':
        return this.#append(this.#popMany(1));
      case 'APPENDS':
        return this.#append(this.#popMark());
      case 'SETITEM':
        return this.#setItems(this.#popMany(2));
      case 'SETITEMS':
        return this.#setItems(this.#popMark());
      case 'BINPUT':
        return this.#put(this.#uint8());
      case 'LONG_BINPUT':
        return this.#put(this.#uint32());
      case 'BINGET':
        return this.#get(this.#uint8());
      case 'LONG_BINGET':
        return this.#get(this.#uint32());
      case 'GLOBAL':
        return this.#global(`${this.#line()}.${this.#line()}`);
      case 'REDUCE':
        return this.#reduce();
      case 'BUILD':
        return this.#dropAttributes();
      case 'BINPERSID':
        return this.#push(this.#options.persistent(this.#pop()));
      default:
        throw this.#refuse(`expected tensors, plain containers and numbers only, found the opcode ${opcode}`);
    }
  }

  #checkProtocol(version: number): void {
    if (version > MAX_PROTOCOL) throw this.#refuse(`expected protocol ${MAX_PROTOCOL} or older, found ${version}`);
  }

  #push(value: unknown): void {
    this.#stack.push(value);
  }

  #pop(): unknown {
    return this.#popMany(1)[0];
  }

  #popMany(count: number): unknown[] {
    const height = this.#stack.length - count;
    if (height < (this.#marks.at(-1) ?? 0)) throw this.#refuse(`expected ${count} values on the stack, found fewer`);
    return this.#stack.splice(height);
  }

  #popMark(): unknown[] {
    const height = this.#marks.pop();
    if (height === undefined) throw this.#refuse('expected a mark on the stack, found none');
    return this.#stack.splice(height);
  }

  /** The value that an opcode changes, left on the stack. */
  #top(): unknown {
    const [value] = this.#popMany(1);
    this.#push(value);
    return value;
  }

  #append(items: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#refuse('expected a list to append to, found none');
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly unknown[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) throw this.#refuse('expected a dict, keys and values, found others');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  #put(index: number): void {
    this.#memo.set(index, this.#top());
  }

  #get(index: number): void {
    if (!this.#memo.has(index)) throw this.#refuse(`expected a value in memo ${index}, found none`);
    this.#push(this.#memo.get(index));
  }

  #global(name: string): void {
    const { globals } = this.#options;
    if (!globals.has(name)) {
      throw this.#refuse(`expected tensors, plain containers and numbers only, found the global ${describe(name)}`);
    }
    this.#push(globals.get(name));
  }

  #reduce(): void {
    const [callee, args] = this.#popMany(2);
    if (typeof callee !== 'function' || !Array.isArray(args)) throw this.#refuse('expected a function and its arguments, found others');
    this.#push((callee as PickleFunction)(args));
  }

  /** Attributes are what Python keeps beside the items: of a state dict `_metadata`, the versions of the modules. */
  #dropAttributes(): void {
    const [object] = this.#popMany(2);
    if (!(object instanceof Map)) throw this.#refuse('expected a dict to give attributes to, found another object');
    this.#push(object);
  }

  /** Where the next `length` bytes begin. */
  #take(length: number): number {
    const begin = this.#at;
    if (begin + length > this.#bytes.length) throw this.#refuse(`expected ${length} bytes, found the end`);
    this.#at += length;
    return begin;
  }

  #uint8(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  #uint32(): number {
    return this.#data.getUint32(this.#take(4), true);
  }

  #text(length: number): string {
    const begin = this.#take(length);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#bytes.subarray(begin, begin + length));
    } catch {
      throw this.#refuse('expected text in UTF-8, found other bytes');
    }
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end === -1) throw this.#refuse('expected a line, found none that ends');
    const line = this.#text(end - this.#at);
    this.#take(1);
    return line;
  }

  /** Two's complement, least byte first. */
  #long(length: number): number | bigint {
    const begin = this.#take(length);
    const unsigned = this.#bytes.subarray(begin, begin + length).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
    const value = BigInt.asIntN(8 * length, unsigned);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #refuse(problem: string): Error {
    return this.#options.refuse(`pickle, byte ${this.#start}: ${problem}`);
  }
}
