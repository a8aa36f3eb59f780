export { colorPicture, encodePng, sideBySide } from './picture.ts';
