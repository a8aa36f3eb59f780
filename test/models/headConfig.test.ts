import { test } from 'uvu';
import { ConfigError } from '../../src/errors.ts';
import { Dinov2DepthConfig } from '../../src/models/headConfig.ts';
import { refuses } from '../helpers.ts';

test('layers of another kind are refused before the stages are counted from them', async () => {
  for (const num_hidden_layers of [{ toString: 1, valueOf: 1 }, '12', 0, 1001, [12]]) {
    const fields = { num_hidden_layers } as never;
    await refuses(() => new Dinov2DepthConfig(fields), ConfigError, '"num_hidden_layers": expected an integer from 1 to 1000');
  }
});

test.run();
