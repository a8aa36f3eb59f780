/** Pictures of results, as pixels and as PNG files. */
export { bytePicture, colorPicture, sideBySide } from './picture.ts';
export { encodePng } from './png.ts';
