// What every host computes, and the form in which the results are compared.

/** Logits and last hidden state of a photograph, to the bit: base64 of little-endian float32. `library` is what an entry of the package exports. */
export async function compute({ AutoImageProcessor, AutoModelForImageClassification }, model, photo, { build = 'auto', threads = 1 } = {}) {
  const processor = await AutoImageProcessor.from_pretrained(model);
  const classifier = await AutoModelForImageClassification.from_pretrained(model, { build, threads });
  const { pixel_values } = await processor(photo);
  const { logits, hidden_states } = await classifier(pixel_values, { output_hidden_states: true, signal: new AbortController().signal });
  const result = {
    build: classifier.build,
    threads: classifier.threads,
    pixels: encode(pixel_values),
    logits: encode(logits),
    hidden: encode(hidden_states.at(-1)),
  };
  classifier.dispose();
  return result;
}

function encode({ data }) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let binary = '';
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}

/** Of each photograph that a server gives below a URL ending in "/", by build; the model is there too. */
export async function computeFetched(library, base, { photos, builds, threads }) {
  const model = await fetchModel(new URL('weights/', base));
  const results = [];
  for (const photo of photos) {
    const blob = await (await fetch(new URL(`photos/${photo}`, base))).blob();
    for (const build of builds) results.push({ photo, ...(await compute(library, model, blob, { build, threads })) });
  }
  return results;
}

async function fetchModel(base) {
  const names = ['config.json', 'preprocessor_config.json', 'model.safetensors'];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await (await fetch(new URL(name, base))).blob()])));
}

/** What a service answers to a photograph that is sent in each of the ways, and to what is wrong. `fetch` reaches it. */
export async function askService(fetch, photo) {
  const base64 = encode({ data: photo });
  const disposition = 'Content-Disposition: form-data; name="image"; filename="photo.jpg"';
  const form = new Blob([`--xyz\r\n${disposition}\r\n\r\n`, photo, '\r\n--xyz--\r\n']);
  const answers = [];
  for (const [path, body, type] of [
    ['/embed?pooling=both', photo, 'image/jpeg'],
    ['/classify?top=3', await form.arrayBuffer(), 'multipart/form-data; boundary=xyz'],
    ['/classify?top=2', JSON.stringify({ image: base64 }), 'application/json'],
    ['/embed', 'GIF89a', 'image/gif'],
    ['/embed', '{"image":', 'application/json'],
    ['/embed', 'a', 'text/plain'],
    ['/search', 'a', 'image/jpeg'],
  ]) {
    const response = await fetch(`http://localhost${path}`, { method: 'POST', body, headers: { 'content-type': type } });
    answers.push([path, response.status, await response.json()]);
  }
  const { paths } = await (await fetch('http://localhost/openapi.json', {})).json();
  return [...answers, Object.keys(paths)];
}
