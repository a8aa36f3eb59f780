/** Levels of nesting beyond which JSON is refused: the parser calls itself, and real files have less than ten. */
const MAX_DEPTH = 64;
/** Values in one text, so that a hostile file cannot take many times its size of memory: more than a million labels and their numbers. */
const MAX_VALUES = 3_000_000;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** Characters of a value in a message. */
const SHOWN = 80;

export type JsonObject = Record<string, unknown>;

/**
 * The value of a JSON text in UTF-8 (RFC 8259). More careful than JSON.parse: a key given twice is refused, a problem is reported with line
 * and column on every host, and "__proto__" is a key like any other.
 * @param refuse makes the error to throw out of what is wrong
 */
export function parseJson(bytes: Uint8Array, refuse: (problem: string) => Error): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw refuse('expected JSON in UTF-8, found other bytes');
  }
  return asWritten(text) ?? new Parser(text, refuse).parse();
}

/** Characters up to which the host's parser is let at a text: what it makes of them is no more than {@link MAX_VALUES} allow. */
const MOST_AT_ONCE = 2 * MAX_VALUES;

/**
 * The value of a text that is just as the host writes it, as are the headers of most checkpoints: then no key is there twice. Many times faster
 * than the parser here, most of all in a process that has just begun. Undefined of any other text.
 */
function asWritten(text: string): unknown {
  if (text.length > MOST_AT_ONCE) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isWithin(value, MAX_DEPTH) && JSON.stringify(value) === text.trimEnd() ? value : undefined;
  } catch {
    return undefined; // the parser says what is wrong
  }
}

function isWithin(value: unknown, levels: number): boolean {
  if (levels < 0) return false;
  if (typeof value !== 'object' || value === null) return true;
  for (const key in value) if (!isWithin((value as JsonObject)[key], levels - 1)) return false;
  return true;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return Object.prototype.toString.call(value) === '[object Object]';
}

/** A number with the 9 digits that tell float32 numbers apart: 0.1, where float32 has 0.10000000149011612. */
export function shortest(x: number): number {
  return Number(x.toPrecision(9));
}

/** Any value, as it is shown in an error message: JSON where possible, shortened. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number') return String(value); // JSON has no NaN
  let text: string | undefined;
  try {
    text = JSON.stringify(value, beginning());
  } catch {
    // cycles and bigint have no JSON
  }
  text ??= typeof value;
  return text.length > SHOWN ? `${text.slice(0, 77)}...` : text;
}

/** For JSON.stringify: no more of a value than is shown. What a pickle makes may contain itself many times over. */
function beginning(): (key: string, value: unknown) => unknown {
  let visited = 0;
  return (_, value) => {
    visited += 1;
    if (visited > SHOWN) return null; // each before it has given a character
    return Array.isArray(value) || typeof value === 'string' ? value.slice(0, SHOWN) : value;
  };
}

class Parser {
  readonly #text: string;
  readonly #refuse: (problem: string) => Error;
  #at = 0;
  #values = 0;

  constructor(text: string, refuse: (problem: string) => Error) {
    this.#text = text;
    this.#refuse = refuse;
  }

  parse(): unknown {
    const value = this.#value(0);
    if (this.#next() !== undefined) throw this.#problem('the end');
    return value;
  }

  #value(depth: number): unknown {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw this.#problem(`at most ${MAX_VALUES} values`);
    if (depth > MAX_DEPTH) throw this.#problem(`at most ${MAX_DEPTH} levels`);
    switch (this.#next()) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      default:
        return this.#scalar();
    }
  }

  #object(depth: number): JsonObject {
    const fields = new Map<string, unknown>();
    this.#list('}', () => {
      if (this.#next() !== '"') throw this.#problem('a key in quotes');
      const start = this.#at;
      const key = this.#string();
      if (fields.has(key)) throw this.#problem('each key once', start, `${describe(key)} again`);
      if (this.#next() !== ':') throw this.#problem('":"');
      this.#at += 1;
      fields.set(key, this.#value(depth + 1));
    });
    return Object.fromEntries(fields);
  }

  #array(depth: number): unknown[] {
    const items: unknown[] = [];
    this.#list(']', () => items.push(this.#value(depth + 1)));
    return items;
  }

  /** What stands between the bracket at the current place and `close`, separated by commas. */
  #list(close: '}' | ']', item: () => void): void {
    this.#at += 1;
    if (this.#next() === close) {
      this.#at += 1;
      return;
    }
    for (;;) {
      item();
      const separator = this.#next();
      if (separator !== ',' && separator !== close) throw this.#problem(`"," or "${close}"`);
      this.#at += 1;
      if (separator === close) return;
    }
  }

  #string(): string {
    const start = this.#at;
    const end = this.#text.length;
    let at = start + 1;
    while (at < end && this.#text[at] !== '"') at += this.#text[at] === '\\' ? 2 : 1;
    this.#at = at + 1;
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch {
      throw this.#problem('a string with known escapes and a closing quote', start, describe(this.#text.slice(start, this.#at)));
    }
  }

  #scalar(): unknown {
    SCALAR.lastIndex = this.#at;
    const word = SCALAR.exec(this.#text)?.[0];
    if (word === undefined) throw this.#problem('a value');
    this.#at += word.length;
    return JSON.parse(word);
  }

  /** The next character that is no white space, without taking it; undefined at the end. */
  #next(): string | undefined {
    for (;;) {
      const c = this.#text[this.#at];
      if (c !== ' ' && c !== '\n' && c !== '\r' && c !== '\t') return c;
      this.#at += 1;
    }
  }

  #problem(expected: string, at = this.#at, found = this.#show(at)): Error {
    let line = 1;
    let start = 0;
    for (let end = this.#text.indexOf('\n'); end !== -1 && end < at; end = this.#text.indexOf('\n', start)) {
      line += 1;
      start = end + 1;
    }
    return this.#refuse(`line ${line}, column ${at - start + 1}: expected ${expected}, found ${found}`);
  }

  #show(at: number): string {
    const code = this.#text.codePointAt(at);
    return code === undefined ? 'the end' : describe(String.fromCodePoint(code));
  }
}
