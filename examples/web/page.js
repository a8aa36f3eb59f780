// The page: takes photos, asks the worker, draws what it answers.
const $ = (selector) => document.querySelector(selector);
const photos = []; // { file, name, image, result } of each slot
let model = 'demonstration';
let asked = 0; // of several choices the last one counts

const worker = new Worker('app/worker.js', { type: 'module' });
const waiting = new Map();
worker.addEventListener('message', ({ data: { id, result, error, progress } }) => {
  if (progress) return showProgress(progress);
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error) reject(Object.assign(new Error(error.message), { name: error.name }));
  else resolve(result);
});
worker.addEventListener('error', () => {
  for (const { reject } of waiting.values())
    reject(
      new Error(
        'The part of this page that computes cannot be started. Load the page again; offline, it has to have been loaded once before.',
      ),
    );
  waiting.clear();
});

function ask(call, request) {
  return new Promise((resolve, reject) => {
    const id = crypto.randomUUID?.() ?? String(Math.random());
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, call, request });
  });
}

function say(text, isBusy = false) {
  $('#status').textContent = text;
  $('#progress').hidden = !isBusy;
  $('#progress').removeAttribute('value');
  $('#results').setAttribute('aria-busy', String(isBusy));
}

function showProgress({ file, done, total }) {
  $('#status').textContent = `Loading ${file}: ${(done / 1e6).toFixed(1)}${total ? ` of ${(total / 1e6).toFixed(1)}` : ''} MB …`;
  if (total) $('#progress').value = done / total;
}

function showProblem(error) {
  const problem = $('#problem');
  problem.hidden = !error;
  problem.textContent = error ? explain(error) : '';
}

function explain({ name, message }) {
  if (name === 'ImageError' && /expected a PNG or JPEG/.test(message))
    return 'This file is no picture that the browser knows. Choose a photo, for instance a JPEG, PNG or WebP.';
  if (name === 'ImageError') return `This picture cannot be used. ${message}`;
  if (name === 'HostError' && /SIMD/.test(message))
    return `This browser has no WebAssembly SIMD, which the model needs. Update it, or use a current Chrome, Firefox, Edge or Safari.`;
  if (!navigator.onLine && name !== 'Error')
    return `You are offline, and this model is not on this device yet. Photos go on working with the model that is loaded. (${message})`;
  return message;
}

async function loadModel(source, name) {
  const turn = ++asked;
  showProblem();
  say(`Loading the ${source === undefined ? 'demonstration ' : ''}model …`, true);
  try {
    const { threads, build, layers, width } = await ask('load', { source });
    model = name;
    $('#model-name').textContent = name;
    $('#host').textContent =
      `${layers} layers of width ${width}, ${threads === 1 ? 'one thread' : `${threads} threads`}, ${build === 'relaxed' ? 'relaxed SIMD' : 'SIMD'}.`;
    if (turn !== asked) return;
    say('Ready: choose a photo.');
    for (const slot of [0, 1]) if (photos[slot]) await look(slot);
  } catch (error) {
    showProblem(error);
    say(`Not loaded: the model is ${model}.`);
  }
}

async function choose(slot, file, name = file.name) {
  const turn = ++asked;
  showProblem();
  say(`Looking at ${name} …`, true);
  const before = photos[slot];
  const entry = { file, name, turn };
  photos[slot] = entry;
  try {
    await look(slot);
  } catch (error) {
    if (photos[slot] === entry) photos[slot] = before;
    showProblem(error);
    say(before ? `Still showing ${before.name}.` : 'Choose another photo.');
  }
}

async function look(slot) {
  const entry = photos[slot];
  say(`Looking at ${entry.name} …`, true);
  const start = performance.now();
  const result = await ask('look', { file: entry.file, slot });
  if (photos[slot] !== entry) return;
  entry.result = result;
  const img = $(`#slot-${slot} img`);
  const url = URL.createObjectURL(entry.file);
  img.src = url;
  await img.decode().catch(() => {});
  img.alt = `${slot === 0 ? 'Your photo' : 'The second photo'}: ${entry.name}. Choose another.`;
  img.hidden = false;
  if (entry.image) URL.revokeObjectURL(entry.image.src);
  entry.image = img;
  if (slot === 0) show(entry);
  if (photos[0]?.result && photos[1]?.result) await showMatches();
  say(`${entry.name}: done in ${((performance.now() - start) / 1000).toFixed(1)} s.`);
}

function show({ name, image, result }) {
  const { labels, rows, columns, colors, heads } = result;
  $('#results').hidden = false;
  $('#labels-section').hidden = !labels;
  $('#labels-note').textContent = model === 'demonstration' ? 'By the demonstration model, which is often wrong.' : '';
  $('#labels').replaceChildren(
    ...(labels ?? []).map(({ label, score }) => {
      const item = document.createElement('li');
      const row = document.createElement('div');
      for (const text of [label, `${(100 * score).toFixed(1)} %`])
        row.append(Object.assign(document.createElement('span'), { textContent: text }));
      const meter = Object.assign(document.createElement('meter'), { value: score });
      meter.setAttribute('aria-hidden', 'true'); // the text says it
      item.append(row, meter);
      return item;
    }),
  );
  const pca = $('#pca');
  paint(pca, result, (canvas, context) =>
    context.drawImage(
      pixels(rows, columns, (i) => [0, 1, 2].map((c) => 255 * colors[3 * i + c]).concat(255)),
      0,
      0,
      canvas.width,
      canvas.height,
    ),
  );
  pca.setAttribute(
    'aria-label',
    `${name} in ${rows} rows and ${columns} columns of patches, coloured by the principal components of their features`,
  );
  $('#heads').replaceChildren(...heads.map((head, i) => attentionFigure(head, i, { name, image, result })));
}

function attentionFigure(head, index, { name, image, result }) {
  const { rows, columns } = result;
  const sorted = head.toSorted();
  const [low, high] = [sorted[0], sorted[Math.floor(0.995 * (sorted.length - 1))]];
  const canvas = document.createElement('canvas');
  paint(canvas, result, (_, context) => {
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const shade = pixels(rows, columns, (i) => [0, 0, 0, 225 * (1 - Math.sqrt(Math.min(1, (head[i] - low) / (high - low || 1))))]);
    context.drawImage(shade, 0, 0, canvas.width, canvas.height);
  });
  const top = head.indexOf(Math.max(...head));
  const where = `${['top', 'middle', 'bottom'][Math.floor((3 * Math.floor(top / columns)) / rows)]} ${['left', 'centre', 'right'][Math.floor((3 * (top % columns)) / columns)]}`;
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `Attention of head ${index + 1} on ${name}: most at the ${where}`);
  const figure = document.createElement('figure');
  figure.append(canvas, Object.assign(document.createElement('figcaption'), { textContent: `Head ${index + 1}: most at the ${where}` }));
  return figure;
}

/** Sizes a canvas as the photo, at most 640 pixels, and draws. */
function paint(canvas, { width, height }, draw) {
  const scale = 640 / Math.max(width, height);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  draw(canvas, context);
}

function pixels(rows, columns, color) {
  const canvas = Object.assign(document.createElement('canvas'), { width: columns, height: rows });
  const data = new ImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) data.data.set(color(i), 4 * i);
  canvas.getContext('2d').putImageData(data, 0, 0);
  return canvas;
}

async function showMatches() {
  const matches = await ask('match');
  $('#matches-section').hidden = false;
  const [a, b] = photos;
  const canvas = $('#matches');
  const isNarrow = $('main').clientWidth < 600;
  const size = isNarrow ? 600 : 480;
  const extent = ({ result: { width, height } }) => (isNarrow ? [size, (size * height) / width] : [(size * width) / height, size]);
  const [[wa, ha], [wb, hb]] = [extent(a), extent(b)];
  const [x, y] = isNarrow ? [0, ha + 16] : [wa + 16, 0];
  canvas.width = isNarrow ? size : wa + 16 + wb;
  canvas.height = isNarrow ? ha + 16 + hb : size;
  const context = canvas.getContext('2d');
  context.drawImage(a.image, 0, 0, wa, ha);
  context.drawImage(b.image, x, y, wb, hb);
  for (const [i, match] of matches.entries()) {
    const [from, to] = [
      [match.a[0] * wa, match.a[1] * ha],
      [x + match.b[0] * wb, y + match.b[1] * hb],
    ];
    const path = new Path2D();
    path.moveTo(...from);
    path.lineTo(...to);
    for (const [x0, y0] of [from, to]) {
      path.moveTo(x0 + 5, y0);
      path.arc(x0, y0, 5, 0, 2 * Math.PI);
    }
    for (const [width, color] of [
      [4, '#0009'],
      [2, `hsl(${(360 * i) / matches.length} 95% 65%)`],
    ]) {
      Object.assign(context, { lineWidth: width, strokeStyle: color });
      context.stroke(path);
    }
  }
  const best = matches[0] ? `similarity ${matches[0].similarity.toFixed(2)} down to ${matches.at(-1).similarity.toFixed(2)}` : 'none';
  $('#matches-note').textContent = `The ${matches.length} patches most alike that are each other’s nearest: ${best}.`;
  canvas.setAttribute('aria-label', `${a.name} and ${b.name}, ${matches.length} lines between patches that match, ${best}`);
}

for (const slot of [0, 1]) {
  const element = $(`#slot-${slot}`);
  const input = element.querySelector('input');
  const drop = element.querySelector('.drop');
  input.addEventListener('change', () => {
    if (input.files[0]) choose(slot, input.files[0]);
    input.value = '';
  });
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.toggle('over', type === 'dragenter' || type === 'dragover');
      if (type !== 'drop') return;
      const [file] = event.dataTransfer.files;
      if (file) choose(slot, file);
      else showProblem(new Error('That is no file: drop a photo from this device.'));
    });
  }
  for (const button of element.querySelectorAll('[data-sample]')) {
    button.addEventListener('click', async () => {
      try {
        const response = await fetch(`photos/${button.dataset.sample}`);
        if (!response.ok) throw new Error(`The photo is not there (HTTP status ${response.status}).`);
        await choose(slot, await response.blob(), button.textContent);
      } catch (error) {
        showProblem(error);
      }
    });
  }
}
for (const type of ['dragover', 'drop']) addEventListener(type, (event) => event.preventDefault()); // beside the frames a photo must not replace the page
$('#model-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const source = $('#model-source').value.trim();
  if (source) loadModel(source, source);
});
$('#model-folder').addEventListener('change', ({ target: { files } }) => {
  if (files.length) loadModel([...files], files[0].webkitRelativePath.split('/')[0] || 'folder');
});
$('#model-demo').addEventListener('click', () => loadModel(undefined, 'demonstration'));

/** The service worker keeps the page for later without a network, and makes it cross-origin isolated where the server does not. */
async function keep() {
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.register('sw.js');
  if (crossOriginIsolated || sessionStorage.reloaded) return;
  await navigator.serviceWorker.ready;
  if (photos.length) return; // never under somebody's hands
  sessionStorage.reloaded = 'yes';
  location.reload();
}

keep().catch(() => {}); // then without
loadModel(undefined, 'demonstration');
