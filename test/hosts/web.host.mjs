// The page of examples/web in Chromium, used as a person would: photos by keys and clicks, what goes wrong, without a network.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openChromium, openFirefox } from './browsers.mjs';
import { ENTER } from './marionette.mjs';
import { on, PHOTOS, ROOT, run, serve, temporary } from './tools.mjs';

/** Where pictures of the page go that a person wants to look at. */
const SCREENSHOTS = process.env.SCREENSHOTS;
const TIMEOUT = 60_000; // ms

let built;

async function site() {
  built ??= temporary().then(async (folder) => {
    await run(process.execPath, [join(ROOT, 'examples/web/build.mjs'), folder]);
    return folder;
  });
  const folder = await temporary();
  await cp(await built, folder, { recursive: true });
  return folder;
}

/** A page of a browser that has never seen it, from a server that sends no headers of its own. */
async function withPage(body, { options = {}, prepare } = {}) {
  const server = await serve(await site());
  const browser = await openChromium();
  try {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT);
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await prepare?.(context, page);
    await page.goto(server.url);
    await body({ page, context, server, errors });
    assert.equal(errors, []);
  } finally {
    await browser.close();
    await server.close();
  }
}

const status = (page) => page.locator('#status').textContent();
/** Until the page is isolated and its model there. */
async function ready(page) {
  await page.waitForFunction(() => globalThis.crossOriginIsolated && /^Ready/.test(document.querySelector('#status').textContent));
}
const done = (page, name) =>
  page.waitForFunction((text) => document.querySelector('#status').textContent.startsWith(`${text}: done in`), name);
const picture = (page, name) => page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
/** Of a canvas: how many different colours there are, up to a limit. */
const colors = (page, selector) =>
  page.locator(selector).evaluate((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });

on('chromium')('the page: photos by keys and clicks, labels, features, attention, matches', () =>
  withPage(async ({ page }) => {
    await ready(page);
    const isThreaded = (await page.evaluate(() => navigator.hardwareConcurrency)) > 1;
    assert.match(await page.locator('#host').textContent(), isThreaded ? / threads/ : /one thread/);

    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => document.activeElement.closest('.slot')?.id);
    assert.is(focused, 'slot-0', 'the first key leads to the first photo');
    const chooser = page.waitForEvent('filechooser');
    await page.keyboard.press('Space');
    await (await chooser).setFiles(join(PHOTOS, 'chelsea.png'));
    await done(page, 'chelsea.png');
    assert.is(await page.locator('#labels li').count(), 5);
    const scores = (await page.locator('#labels li div span:last-child').allTextContents()).map(Number.parseFloat);
    assert.ok(
      scores.every((score, i) => score > 0 && (i === 0 || score <= scores[i - 1])),
      String(scores),
    );
    assert.ok((await colors(page, '#pca')) > 1000);
    const heads = await page.locator('#heads figure').count();
    assert.is(heads, 3);
    assert.ok((await colors(page, '#heads figure:first-child canvas')) > 1000);
    assert.ok(await page.locator('#matches-section').isHidden());

    await page.locator('#slot-1 [data-sample="chelsea.png"]').focus();
    await page.keyboard.press('Enter');
    await done(page, 'cat');
    assert.match(
      await page.locator('#matches-note').textContent(),
      /^The 30 patches .* similarity 1\.00 down to 1\.00/,
      'a photo matches itself',
    );
    await page.click('#slot-1 [data-sample="astronaut.png"]');
    await done(page, 'astronaut');
    assert.not.match(await page.locator('#matches-note').textContent(), /1\.00/);
    const unnamed = await page.evaluate(
      () => [...document.querySelectorAll('canvas, img')].filter((e) => !(e.hidden || e.alt || e.ariaLabel)).length,
    );
    assert.is(unnamed, 0, 'each picture has a text');
    if (SCREENSHOTS) await picture(page, 'desktop-light');
  }),
);

on('chromium')('the page never stalls while the model computes', () =>
  withPage(async ({ page }) => {
    await ready(page);
    await page.evaluate(() => {
      let last = performance.now();
      globalThis.longest = 0;
      setInterval(() => {
        const now = performance.now();
        globalThis.longest = Math.max(globalThis.longest, now - last);
        last = now;
      }, 10);
    });
    await page.click('#slot-0 [data-sample="rocket.jpg"]');
    await done(page, 'rocket');
    const longest = await page.evaluate(() => globalThis.longest);
    console.log(`page: longest pause ${longest.toFixed(0)} ms`);
    assert.ok(longest < 1000, `${longest} ms`);
  }),
);

on('chromium')('the page says what is wrong, and goes on', () =>
  withPage(async ({ page }) => {
    await ready(page);
    const folder = await temporary();
    await writeFile(join(folder, 'notes.png'), 'no picture');
    await writeFile(join(folder, 'huge.jpg'), Buffer.alloc(51 * 2 ** 20));
    const problem = page.locator('#problem');
    for (const [file, text] of [
      ['notes.png', /is no picture/],
      ['huge.jpg', /at most 50 MB/],
    ]) {
      await page.setInputFiles('#slot-0 input', join(folder, file));
      await problem.filter({ hasText: text }).waitFor();
      assert.match(await status(page), 'Choose another photo');
    }
    await page.click('summary');
    await page.fill('#model-source', './nowhere');
    await page.keyboard.press('Enter');
    await problem.filter({ hasText: 'nowhere' }).waitFor();
    if (SCREENSHOTS) await picture(page, 'problem');
    await page.click('#slot-0 [data-sample="coffee.png"]');
    await done(page, 'coffee');
    assert.ok(await problem.isHidden());
    await page.setInputFiles('#model-folder', join(ROOT, 'weights'));
    await page.waitForFunction(() => document.querySelector('#model-name').textContent === 'weights');
    await done(page, 'coffee');
  }),
);

on('chromium')('without a network the page works, once loaded', () =>
  withPage(async ({ page, server }) => {
    await ready(page);
    await server.close();
    await page.reload();
    await ready(page);
    await page.click('#slot-0 [data-sample="rocket.jpg"]');
    await done(page, 'rocket');
    assert.is(await page.locator('#labels li').count(), 5);
  }),
);

/** A hub on this machine with the demonstration model, until `stop` is called. */
async function startHub() {
  const args = ['--conditions=dinov2-source', '--import', 'tsx', join(ROOT, 'test/hosts/serveHub.ts')];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] });
  const [url] = await once(createInterface(child.stdout), 'line');
  return { url, stop: () => child.stdin.end() };
}

on('chromium')('a model of the hub is loaded by its name, and when the hub is gone out of the cache', async () => {
  const hub = await startHub();
  const asked = [];
  const prepare = (context) =>
    context.route('https://huggingface.co/**', async (route) => {
      const { pathname } = new URL(route.request().url());
      asked.push(pathname);
      if (hub.isGone) return route.abort('internetdisconnected');
      const response = await route.fetch({ url: new URL(pathname, hub.url).href });
      return route.fulfill({ response });
    });
  const open = async (page) => {
    await page.fill('#model-source', 'demo/model');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#model-name').textContent === 'demo/model');
    await page.waitForFunction(() => /^Ready|done in/.test(document.querySelector('#status').textContent));
  };
  try {
    await withPage(
      async ({ page }) => {
        await ready(page);
        await page.click('#slot-0 [data-sample="chelsea.png"]');
        await done(page, 'cat');
        const labels = await page.locator('#labels li').allTextContents();
        await page.click('summary');
        await open(page);
        await done(page, 'cat');
        assert.equal(await page.locator('#labels li').allTextContents(), labels, 'the same model');
        assert.ok(asked.includes('/api/models/demo/model/revision/main'), String(asked));
        assert.is(asked.filter((path) => path.endsWith('/model.safetensors')).length, 1, String(asked));
        hub.isGone = true;
        await page.reload();
        await ready(page);
        await page.click('summary');
        await open(page);
        await page.click('#slot-0 [data-sample="chelsea.png"]');
        await done(page, 'cat');
        assert.equal(await page.locator('#labels li').allTextContents(), labels);
      },
      { prepare },
    );
  } finally {
    hub.stop();
  }
});

/** Of a page that may load itself again meanwhile. */
async function until(page, condition, argument) {
  const end = Date.now() + TIMEOUT;
  while (!(await page.evaluate(condition, argument).catch(() => false))) {
    if (Date.now() > end) throw new Error(`waited for ${condition}, found ${await page.evaluate(() => document.body.innerText)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

on('firefox')('the page in Firefox: isolated, with threads, the same features and matches', async () => {
  const server = await serve(await site());
  const browser = await openFirefox();
  try {
    const page = await browser.newPage();
    await page.goto(server.url);
    await until(page, () => globalThis.crossOriginIsolated && /^Ready/.test(document.querySelector('#status').textContent));
    const isThreaded = await page.evaluate(() => navigator.hardwareConcurrency > 1);
    assert.match(await page.evaluate(() => document.querySelector('#host').textContent), isThreaded ? / threads/ : /one thread/);
    for (const [slot, sample, name] of [
      [0, 'chelsea.png', 'cat'],
      [1, 'chelsea.png', 'cat'],
    ]) {
      await page.evaluate(() => {
        document.querySelector('#status').textContent = '';
      });
      await page.evaluate((selector) => document.querySelector(selector).focus(), `#slot-${slot} [data-sample="${sample}"]`);
      await page.press(ENTER);
      await until(page, (text) => document.querySelector('#status').textContent.startsWith(`${text}: done in`), name);
    }
    assert.is(await page.evaluate(() => document.querySelectorAll('#labels li').length), 5);
    assert.match(await page.evaluate(() => document.querySelector('#matches-note').textContent), /similarity 1\.00 down to 1\.00/);
    if (SCREENSHOTS) await page.screenshot(join(SCREENSHOTS, 'firefox.png'));
  } finally {
    await browser.close();
    await server.close();
  }
});

on('chromium')('a browser without WebAssembly is told what it needs', () =>
  withPage(
    async ({ page }) => {
      await page.locator('#problem').filter({ hasText: 'has no WebAssembly SIMD' }).waitFor();
      if (SCREENSHOTS) await picture(page, 'no-simd');
    },
    {
      // as an old browser says it: every module is invalid
      prepare: (context) =>
        context.route('**/app/worker.js', async (route) => {
          const response = await route.fetch();
          await route.fulfill({ response, body: `WebAssembly.validate = () => false;${await response.text()}` });
        }),
      options: { serviceWorkers: 'block' },
    },
  ),
);

on('chromium')('a phone of 320 pixels, dark: nothing is cut off', () =>
  withPage(
    async ({ page }) => {
      await ready(page);
      await page.click('#slot-0 [data-sample="chelsea.png"]');
      await done(page, 'cat');
      await page.click('#slot-1 [data-sample="coffee.png"]');
      await done(page, 'coffee');
      const { width, small } = await page.evaluate(() => ({
        width: document.documentElement.scrollWidth,
        small: [...document.querySelectorAll('button, summary')].filter(
          (e) => e.getClientRects().length && e.getBoundingClientRect().height < 24,
        ).length,
      }));
      assert.is(width, 320);
      assert.is(small, 0, 'what is touched has 24 pixels');
      if (SCREENSHOTS) await picture(page, 'phone-dark');
    },
    { options: { viewport: { width: 320, height: 640 }, colorScheme: 'dark' } },
  ),
);

test.run();
