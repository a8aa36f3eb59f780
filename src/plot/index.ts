/** Pictures of results, as pixels and as PNG files. */
export { bytePicture, colorPicture, encodePng, sideBySide } from './picture.ts';
