// For Vercel's edge runtime: photographs are posted, the model's files come from the server whose address is in the query.
import { AutoImageProcessor, AutoModelForImageClassification } from 'dinov2-wasm';
import { compute } from '../program.mjs';

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const { build, threads = 1, model } = Object.fromEntries(new URL(request.url).searchParams);
  try {
    const photo = await request.arrayBuffer();
    return Response.json(
      await compute({ AutoImageProcessor, AutoModelForImageClassification }, new URL(model), photo, { build, threads: Number(threads) }),
    );
  } catch (error) {
    return new Response(error.stack, { status: 500 });
  }
}
