import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { labelNamesOf } from '../../src/models/labelNames.ts';

test('the name of a head tells what its labels are called, where their number agrees', () => {
  const ade = labelNamesOf('dinov2_vits14_ade20k_linear_head.pth', 150);
  assert.equal([ade?.[0], ade?.[44], ade?.[149], Object.keys(ade ?? {}).length], ['wall', 'chest of drawers', 'flag', 150]);
  const voc = labelNamesOf('DINOV2_VITG14_VOC2012_MS_HEAD.pth', 21);
  assert.equal([voc?.[0], voc?.[8], voc?.[20]], ['background', 'cat', 'tvmonitor']);
  for (const names of [ade, voc]) assert.is(new Set(Object.values(names ?? {})).size, Object.keys(names ?? {}).length);
  assert.equal([labelNamesOf('ade20k.pth', 151), labelNamesOf('mine.pth', 150)], [undefined, undefined]);
});

test.run();
