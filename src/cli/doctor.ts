import type { Command } from 'commander';
import { type Diagnosis, diagnose } from '../index.ts';
import type { Terminal } from './terminal.ts';

/** `dinov2 doctor`: what this host has, which kernels are taken and why. */
export function addDoctor(program: Command, { stdout }: Terminal): Command {
  return program
    .command('doctor')
    .description('What this host has, which kernels are taken for it and why, and how fast they are.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  dinov2 doctor')
    .action(({ json }: { json?: boolean }) => {
      const diagnosis = diagnose();
      stdout.write(json ? `${JSON.stringify(diagnosis, null, 2)}\n` : textOf(diagnosis));
    });
}

const FORMS: Readonly<Record<Diagnosis['integerForm'], string>> = {
  pairs: 'pairs of 16 bits: the relaxed dot product of bytes is not there, or not exact beyond 7 bits',
  unsigned: 'bytes, signed by unsigned: the relaxed dot product of this machine is exact for them (VNNI)',
  signed: 'bytes, signed by signed: the relaxed dot product of this machine is exact for them (ARM)',
};

function textOf({ host, simd, relaxedSimd, threads, processors, build, integerForm, speeds }: Diagnosis): string {
  const fastest = speeds.reduce((a, b) => (b.float32 > a.float32 ? b : a)).build;
  const lines = [
    `host        ${host}`,
    `SIMD        ${simd ? 'yes' : 'no'}, relaxed SIMD ${relaxedSimd ? 'yes' : 'no'}`,
    `threads     ${threads ? `up to ${processors} processors` : 'one: no shared memory here'}`,
    `kernels     ${build}: ${relaxedSimd ? 'relaxed SIMD fuses multiply and add' : 'without relaxed SIMD there is no other'}`,
    `int8        ${FORMS[integerForm]}`,
    '',
    'a matrix product of 257 x 384 x 1536 on one thread, 10^9 operations a second:',
    ...speeds.map(
      ({ build, float32, int8 }) => `  ${build.padEnd(8)}  float32 ${float32.toFixed(0).padStart(4)}   int8 ${int8.toFixed(0).padStart(4)}`,
    ),
    ...(fastest === build ? [] : ['', `${fastest} was faster just now: try the option build: '${fastest}', or --build ${fastest}`]),
  ];
  return `${lines.join('\n')}\n`;
}
