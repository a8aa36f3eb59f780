/**
 * What the labels of published segmentation heads are called, in their order: facts of the data sets, as mmsegmentation lists them
 * (mmseg/datasets/ade.py and voc.py), with which the heads were trained.
 */

/** ADE20K (Zhou et al. 2017), the 150 classes of its scene parsing. */
const ADE20K = (
  'wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, door, table, ' +
  'mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, field, armchair, seat, fence, ' +
  'desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, chest of drawers, counter, sand, sink, ' +
  'skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool table, pillow, screen door, stairway, ' +
  'river, bridge, bookcase, blind, coffee table, toilet, flower, book, hill, bench, countertop, stove, palm, kitchen island, ' +
  'computer, swivel chair, boat, bar, arcade machine, hovel, bus, towel, light, truck, tower, chandelier, awning, streetlight, ' +
  'booth, television receiver, airplane, dirt track, apparel, pole, land, bannister, escalator, ottoman, bottle, buffet, ' +
  'poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything, swimming pool, stool, barrel, basket, ' +
  'waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank, trade name, microwave, pot, animal, bicycle, lake, ' +
  'dishwasher, screen, blanket, sculpture, hood, sconce, vase, traffic light, tray, ashcan, fan, pier, crt screen, plate, ' +
  'monitor, bulletin board, shower, radiator, glass, clock, flag'
).split(', ');

/** PASCAL VOC 2012 (Everingham et al. 2015), of which the first is what belongs to no other. */
const VOC2012 = (
  'background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse, motorbike, person, ' +
  'pottedplant, sheep, sofa, train, tvmonitor'
).split(', ');

/** By the word that the names of heads have. */
const DATA_SETS: ReadonlyMap<string, readonly string[]> = new Map([
  ['ade20k', ADE20K],
  ['voc2012', VOC2012],
]);

/** The names of `count` labels of a head, if its file's name tells a data set that has so many. */
export function labelNamesOf(file: string, count: number): Readonly<Record<number, string>> | undefined {
  for (const [word, names] of DATA_SETS) {
    if (file.toLowerCase().includes(word) && names.length === count) return { ...names };
  }
  return undefined;
}
