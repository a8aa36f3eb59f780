import { describe } from '../files/json.ts';

/** Steps after which a pickle is refused, for each may take memory. A checkpoint of the largest DINOv2 has 30 thousand. */
const MAX_STEPS = 1_000_000;
/** The newest version of the protocol (PEP 574). */
const MAX_PROTOCOL = 5;

/** Names of all opcodes, as in CPython's Lib/pickle.py: behind their characters, and in their order from 0x80 on. */
const CHARACTERS = [
  '(MARK )EMPTY_TUPLE .STOP 0POP 1POP_MARK 2DUP ]EMPTY_LIST }EMPTY_DICT BBINBYTES CSHORT_BINBYTES FFLOAT',
  'GBINFLOAT IINT JBININT KBININT1 LLONG MBININT2 NNONE PPERSID QBINPERSID RREDUCE SSTRING TBINSTRING',
  'USHORT_BINSTRING VUNICODE XBINUNICODE aAPPEND bBUILD cGLOBAL dDICT eAPPENDS gGET hBINGET iINST jLONG_BINGET',
  'lLIST oOBJ pPUT qBINPUT rLONG_BINPUT sSETITEM tTUPLE uSETITEMS',
];
const FROM_0X80 = [
  'PROTO NEWOBJ EXT1 EXT2 EXT4 TUPLE1 TUPLE2 TUPLE3 NEWTRUE NEWFALSE LONG1 LONG4 SHORT_BINUNICODE BINUNICODE8',
  'BINBYTES8 EMPTY_SET ADDITEMS FROZENSET NEWOBJ_EX STACK_GLOBAL MEMOIZE FRAME BYTEARRAY8 NEXT_BUFFER READONLY_BUFFER',
];
const OPCODES: ReadonlyMap<number, string> = new Map([
  ...CHARACTERS.flatMap((line) => line.split(' ')).map((word) => [word.charCodeAt(0), word.slice(1)] as const),
  ...FROM_0X80.flatMap((line) => line.split(' ')).map((word, i) => [0x80 + i, word] as const),
]);

const EXPECTED = 'expected tensors, plain containers and numbers only';

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
 * The value of a pickle and where it ends. Lists and tuples are given as arrays, dicts as maps, so that no key means anything, without
 * their attributes, and integers beyond 2^53 as bigint. The opcodes are those of torch/_weights_only_unpickler.py, less those that make
 * objects and sets. Nothing of the file is executed: a global is a name to be looked up in `globals`.
 * @throws what `refuse` makes, naming the place and the opcode or global, when there are others
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
  /** What the opcodes do that are not refused. */
  readonly #operations: Readonly<Record<string, () => void>> = {
    PROTO: () => this.#checkProtocol(this.#uint8()),
    NONE: () => this.#push(null),
    NEWTRUE: () => this.#push(true),
    NEWFALSE: () => this.#push(false),
    BININT: () => this.#push(this.#data.getInt32(this.#take(4), true)),
    BININT1: () => this.#push(this.#uint8()),
    BININT2: () => this.#push(this.#data.getUint16(this.#take(2), true)),
    LONG1: () => this.#push(this.#long(this.#uint8())),
    BINFLOAT: () => this.#push(this.#data.getFloat64(this.#take(8))),
    BINUNICODE: () => this.#push(this.#text(this.#uint32())),
    SHORT_BINSTRING: () => this.#push(this.#text(this.#uint8())),
    EMPTY_TUPLE: () => this.#push([]),
    EMPTY_LIST: () => this.#push([]),
    EMPTY_DICT: () => this.#push(new Map()),
    MARK: () => this.#mark(),
    TUPLE: () => this.#push(this.#popMark()),
    TUPLE1: () => this.#push(this.#popMany(1)),
    TUPLE2: () => this.#push(this.#popMany(2)),
    TUPLE3: () => this.#push(this.#popMany(3)),
    APPEND: () => this.#append(this.#popMany(1)),
    APPENDS: () => this.#append(this.#popMark()),
    SETITEM: () => this.#setItems(this.#popMany(2)),
    SETITEMS: () => this.#setItems(this.#popMark()),
    BINPUT: () => this.#put(this.#uint8()),
    LONG_BINPUT: () => this.#put(this.#uint32()),
    BINGET: () => this.#get(this.#uint8()),
    LONG_BINGET: () => this.#get(this.#uint32()),
    GLOBAL: () => this.#global(`${this.#line()}.${this.#line()}`),
    REDUCE: () => this.#reduce(),
    BUILD: () => this.#dropAttributes(),
    BINPERSID: () => this.#push(this.#options.persistent(this.#pop())),
  };

  constructor(bytes: Uint8Array, options: PickleOptions) {
    this.#bytes = bytes;
    this.#data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#options = options;
  }

  run(): { value: unknown; end: number } {
    for (let step = 0; step < MAX_STEPS; step++) {
      this.#start = this.#at;
      const code = this.#bytes[this.#take(1)] as number;
      const name = OPCODES.get(code);
      if (name === 'STOP') return { value: this.#pop(), end: this.#at };
      if (name === undefined) throw this.#refuse(`expected an opcode, found ${code}`);
      const operation = this.#operations[name];
      if (!operation) throw this.#refuse(`${EXPECTED}, found the opcode ${name}`);
      operation();
    }
    throw this.#refuse(`expected at most ${MAX_STEPS} steps, found more`);
  }

  #checkProtocol(version: number): void {
    if (version > MAX_PROTOCOL) throw this.#refuse(`expected protocol ${MAX_PROTOCOL} or older, found ${version}`);
  }

  #push(value: unknown): void {
    this.#stack.push(value);
  }

  #mark(): void {
    this.#marks.push(this.#stack.length);
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
      throw this.#refuse(`${EXPECTED}, found the global ${describe(name)}`);
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
