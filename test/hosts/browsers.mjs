import { openFirefox as openMarionette } from './marionette.mjs';
import { installed, PROGRAMS } from './tools.mjs';

const TIMEOUT = 60_000; // ms

export async function openChromium() {
  const { chromium } = (await import(installed('playwright-core/index.js'))).default;
  return chromium.launch({ executablePath: PROGRAMS.chromium, args: ['--no-sandbox'], timeout: TIMEOUT });
}

export const openFirefox = () => openMarionette(PROGRAMS.firefox, TIMEOUT);

/** Calls a function of a page, as that puts it among its globals. */
export async function ask(page, call, request) {
  return page.evaluate(([name, argument]) => globalThis[name](argument), [call, request]);
}
