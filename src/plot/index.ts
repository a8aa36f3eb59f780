/** Pictures of results, as pixels and as PNG files. */

export { COLORMAPS, type Colormap, type ColormapName, colormap } from './colormaps.ts';
export { type DepthPictureOptions, type DepthPng, depthPicture, depthPng } from './depth.ts';
export { bytePicture, colorPicture, sideBySide } from './picture.ts';
export { encodeGray16, encodePng } from './png.ts';
export { labelColor, type SegmentationPictureOptions, segmentationPicture } from './segmentation.ts';
