/** Pictures of results as pixels: all of them that needs no `Buffer` or streams of Node. A canvas makes files of them. */
export { bytePicture, colorPicture, sideBySide } from './picture.ts';
