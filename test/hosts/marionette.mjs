// Firefox by Marionette, its own protocol of automation. Over WebDriver BiDi, which has libraries, it listens for workers, and then a worker that starts
// another one may wait forever: the signal that ends its wait may wake the new one in its place (by hand 7 of 1011 times; over Marionette 0 of 3474).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporary } from './tools.mjs';

const COLON = ':'.charCodeAt(0);
export const ENTER = '\uE007';

/** A browser of one page, which has never seen another. @param timeout milliseconds, of its start and of each script */
export async function openFirefox(program, timeout) {
  const profile = await temporary();
  await writeFile(join(profile, 'user.js'), 'user_pref("marionette.port", 0);\n'); // a free one
  const firefox = spawn(program, ['--headless', '--marionette', '--no-remote', '--profile', profile], { stdio: 'ignore' });
  const ended = once(firefox, 'exit');
  ended.catch(() => {}); // that it cannot be started is for the first who asks
  const kill = () => firefox.kill('SIGKILL');
  process.once('exit', kill);
  const close = async () => {
    kill();
    await ended.catch(() => {});
    process.off('exit', kill);
  };
  try {
    const isGone = ended.then(([code]) => Promise.reject(new Error(`expected ${program} to run, found that it ended with ${code}`)));
    const send = await session(await Promise.race([portOf(profile, timeout), isGone]));
    await send('WebDriver:NewSession', {});
    await send('WebDriver:SetTimeouts', { script: timeout, pageLoad: timeout });
    return { newPage: async () => pageOf(send), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function pageOf(send) {
  return {
    goto: (url) => send('WebDriver:Navigate', { url }),
    /** What a function gives that runs on the page, with arguments and a result that JSON can say. */
    evaluate: async (call, ...args) => {
      const { value } = await send('WebDriver:ExecuteScript', { script: `return (${call})(...arguments);`, args, sandbox: null });
      return value;
    },
    press: (key) => {
      const actions = ['keyDown', 'keyUp'].map((type) => ({ type, value: key }));
      return send('WebDriver:PerformActions', { actions: [{ type: 'key', id: 'keyboard', actions }] });
    },
    screenshot: async (path) => {
      const { value } = await send('WebDriver:TakeScreenshot', { full: true });
      await writeFile(path, value, 'base64');
    },
  };
}

async function portOf(profile, timeout) {
  for (const end = Date.now() + timeout; Date.now() < end; await sleep(50)) {
    const port = Number(await readFile(join(profile, 'MarionetteActivePort'), 'utf8').catch(() => ''));
    if (port) return port;
  }
  throw new Error(`expected Firefox to be there within ${timeout} ms, found no port of it in ${profile}`);
}

/** What sends a command and gives its result. Messages are JSON behind their number of bytes and a colon. */
async function session(port) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const waiting = new Map();
  let bytes = Buffer.alloc(0);
  let last = 0;
  socket.on('data', (more) => {
    bytes = Buffer.concat([bytes, more]);
    for (;;) {
      const start = bytes.indexOf(COLON) + 1;
      const end = start + Number(bytes.subarray(0, Math.max(0, start - 1)));
      if (start === 0 || bytes.length < end) return;
      take(JSON.parse(bytes.subarray(start, end)));
      bytes = bytes.subarray(end);
    }
  });
  socket.on('error', () => {}); // is followed by the end
  socket.on('close', () => {
    for (const { reject } of waiting.values()) reject(new Error('Firefox has ended'));
  });
  function take(message) {
    if (!Array.isArray(message)) return; // who it is
    const [, id, error, result] = message;
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(`${error.error}: ${error.message}`));
    else resolve(result);
  }
  return (name, parameters) =>
    new Promise((resolve, reject) => {
      if (socket.destroyed) throw new Error('Firefox has ended');
      waiting.set(++last, { resolve, reject });
      const text = JSON.stringify([0, last, name, parameters]);
      socket.write(`${Buffer.byteLength(text)}:${text}`);
    });
}
