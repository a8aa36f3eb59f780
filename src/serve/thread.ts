// What ThreadedTasks starts: a model in a thread of its own, which answers one question after the other.
import { parentPort, workerData } from 'node:worker_threads';
import '#kernels';
import { decodeOf } from '../image/decoder.ts';
import { sentError } from '../sentErrors.ts';
import { ImageTasks } from '../tasks/index.ts';
import type { Message, Question, ThreadStart } from './protocol.ts';

const { source, options, decoder } = workerData as ThreadStart;
const say = (message: Message): void => parentPort?.postMessage(message);

try {
  const decode = decoder === undefined ? undefined : decodeOf(await import(decoder), decoder);
  const tasks = await ImageTasks.open(source, { ...options, decode, progress_callback: (progress) => say({ progress }) });
  const running = new Map<number, AbortController>();
  parentPort?.on('message', (question: Question) => {
    if ('abort' in question) running.get(question.id)?.abort();
    else void answer(tasks, question, running);
  });
  say({ available: tasks.available, memory: tasks.memory });
} catch (error) {
  say({ error: sentError(error as Error) });
}

async function answer(
  tasks: ImageTasks,
  question: Exclude<Question, { abort: true }>,
  running: Map<number, AbortController>,
): Promise<void> {
  const { id, image } = question;
  const leaving = new AbortController();
  const { signal } = leaving;
  running.set(id, leaving);
  try {
    const result =
      'task' in question
        ? await tasks.run(question.task, image, question.request, { signal })
        : (await tasks.embed(image, { pooling: question.vector }, { signal })).data;
    say({ id, result, memory: tasks.memory });
  } catch (error) {
    say({ id, error: sentError(error as Error) });
  }
  running.delete(id);
}
