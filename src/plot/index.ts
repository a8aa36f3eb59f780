/** Pictures of results, as pixels and as PNG files. */

export { encodePng } from './png.ts';
export * from './web.ts';
