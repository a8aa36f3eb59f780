/** Pictures of results, as pixels and as PNG files. */

export { COLORMAPS, type Colormap, type ColormapName, colormap } from './colormaps.ts';
export { contactSheet, type Sheet, type SheetGroup, type SheetPicture } from './contactSheet.ts';
export { type DepthPictureOptions, type DepthPng, depthPicture, depthPng } from './depth.ts';
export { encodeJpeg } from './jpeg.ts';
export { drawLine, drawMark, markRadius, matchPicture } from './matches.ts';
export { type HeatPictureOptions, heatPicture, type PcaPictureOptions, pcaPicture } from './overlay.ts';
export { captioned, colorPicture, sideBySide, stacked } from './picture.ts';
export { encodeGray16, encodePng } from './png.ts';
export { type LabelColors, labelColor, type SegmentationPictureOptions, segmentationPicture } from './segmentation.ts';
