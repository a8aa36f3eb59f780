// Keeps the files of the page, so that it works without a network, and adds what threads need to their headers. A script and no module, for
// Firefox; build.mjs writes FILES and VERSION in front of it.
const NAME = `dinov2-web-${VERSION}`;
const urlOf = (path) => new URL(path, self.registration.scope).href;

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(FILES.map((path) => new Request(urlOf(path), { cache: 'reload' })))));
});

self.addEventListener('activate', (event) => {
  const isOld = (name) => name.startsWith('dinov2-web-') && name !== NAME;
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter(isOld).map((name) => caches.delete(name)))));
  event.waitUntil(self.clients.claim());
});

self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === 'GET' && url.origin === self.location.origin) event.respondWith(answer(event.request, url));
});

async function answer(request, url) {
  const cache = await caches.open(NAME);
  const response = (await cache.match(url.origin + url.pathname)) ?? (await fetch(request));
  if (response.type === 'opaque' || response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set('cross-origin-opener-policy', 'same-origin');
  headers.set('cross-origin-embedder-policy', 'require-corp');
  headers.set('cross-origin-resource-policy', 'same-origin');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
