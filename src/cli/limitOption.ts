import { InvalidArgumentError, Option } from 'commander';
import { DEFAULT_LIMITS, type LimitName, type Limits } from '../limits.ts';
import { parseSize } from '../options.ts';

/** `--limit pixels=20000000,seconds=30`, or each in an option of its own, which become {@link Limits}. */
export function limitOption(): Option {
  const names = Object.keys(DEFAULT_LIMITS).join(', ');
  return new Option('--limit <name=value,...>', `what is taken at most, a number, a size like 500MB, or none: ${names}`).argParser(parse);
}

function parse(text: string, before: Limits = {}): Limits {
  return text.split(',').reduce(add, before);
}

function add(before: Limits, text: string): Limits {
  const [, name = '', value = ''] = /^(\w+)=(.*)$/.exec(text) ?? [];
  if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
    throw new InvalidArgumentError(`Expected NAME=VALUE, where NAME is one of ${Object.keys(DEFAULT_LIMITS).join(', ')}.`);
  }
  return { ...before, [name]: numberOf(name as LimitName, value) };
}

function numberOf(name: LimitName, text: string): number {
  if (text === 'none') return Number.POSITIVE_INFINITY;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : name.endsWith('Bytes') ? sizeOf(text) : 0;
  if (value > 0) return value;
  const size = name.endsWith('Bytes') ? ', a size like 500MB' : '';
  throw new InvalidArgumentError(`Expected for ${name} a number above 0${size} or none.`);
}

function sizeOf(text: string): number {
  try {
    return parseSize('size', text);
  } catch {
    return 0;
  }
}
