import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConfigError } from '../../src/errors.ts';
import { DepthAnythingConfig, DPTConfig } from '../../src/index.ts';
import type { DepthConfigFields } from '../../src/models/depthConfig.ts';
import { golden, refuses, withFolder } from '../helpers.ts';

const read = (name: string): Record<string, unknown> => JSON.parse(new TextDecoder().decode(golden(`${name}/config.json`)));
type AnyConfig = typeof DPTConfig;
const AnythingConfig = DepthAnythingConfig as unknown as AnyConfig;
const CASES: Readonly<Record<string, AnyConfig>> = {
  'depth-dpt': DPTConfig,
  'depth-anything-relative': AnythingConfig,
  'depth-anything-metric': AnythingConfig,
};

for (const [name, Config] of Object.entries(CASES)) {
  test(`${name}: config.json is read and written back, unknown fields included`, () =>
    withFolder(async (folder) => {
      const file = read(name);
      const config = new Config({ ...file, from_the_future: [{ a: null }] });
      const { backbone_config, ...fields } = config.to_dict();
      for (const [key, value] of Object.entries(file)) if (key !== 'backbone_config') assert.equal(fields[key], value, key);
      assert.equal(fields.from_the_future, [{ a: null }]);
      const backbone = file.backbone_config as Record<string, unknown>;
      for (const key of ['hidden_size', 'out_features', 'apply_layernorm', 'model_type']) {
        assert.equal((backbone_config as Record<string, unknown>)[key], backbone[key], key);
      }
      await config.save_pretrained(folder);
      assert.equal((await Config.from_pretrained(folder)).to_dict(), config.to_dict());
    }));
}

test('the defaults of Depth Anything are those of its small model', () => {
  const { backbone_config, ...fields } = new DepthAnythingConfig().to_dict();
  assert.equal(fields, {
    model_type: 'depth_anything',
    neck_hidden_sizes: [48, 96, 192, 384],
    reassemble_factors: [4, 2, 1, 0.5],
    fusion_hidden_size: 64,
    head_in_index: -1,
    reassemble_hidden_size: 384,
    patch_size: 14,
    head_hidden_size: 32,
    depth_estimation_type: 'relative',
    max_depth: 1,
  });
  assert.equal((backbone_config as { out_indices: number[] }).out_indices, [9, 10, 11, 12]);
});

test('the width and the patches of a depth model are those of its backbone', () => {
  const config = new DPTConfig(read('depth-dpt'));
  assert.is(config.hidden_size, 48);
  assert.equal(config.patchSize, [14, 14]);
  assert.is(config.to_dict().hidden_size, 768);
});

test('head_in_index counts fusions from the deepest, or from the last', () => {
  const level = (head_in_index: number): number => new DepthAnythingConfig({ head_in_index }).outputLevel;
  assert.equal([-1, -4, 0, 3].map(level), [3, 0, 0, 3]);
});

test('a field of a wrong type, an impossible combination and what is not supported are refused by name', async () => {
  const dpt = read('depth-dpt');
  const { backbone_config: backbone } = dpt as { backbone_config: Record<string, unknown> };
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  const cases: [AnyConfig, unknown, string[]][] = [
    [DPTConfig, {}, ['"backbone_config"', 'the fields of a DINOv2 backbone', 'found nothing']],
    [DPTConfig, 7, ['expected an object', 'found 7']],
    [DPTConfig, { ...dpt, backbone_config: { ...backbone, model_type: 'swinv2' } }, ['backbone_config.model_type', '"dinov2"', '"swinv2"']],
    [DPTConfig, { ...dpt, backbone_config: { ...backbone, hidden_size: '48' } }, ['"backbone_config"', '"hidden_size"', 'found "48"']],
    [DPTConfig, { ...dpt, backbone_config: { ...backbone, out_features: null, out_indices: [4] } }, ['out_features', '4, as many']],
    [DPTConfig, { ...dpt, model_type: 'depth_anything' }, ['"model_type"', '"dpt"']],
    [DPTConfig, { ...dpt, is_hybrid: true }, ['"is_hybrid"', 'only DINOv2 backbones']],
    [DPTConfig, { ...dpt, use_batch_norm_in_fusion_residual: true }, ['"use_batch_norm_in_fusion_residual"', 'not supported']],
    [DPTConfig, { ...dpt, readout_type: 'mean' }, ['"readout_type"', '"ignore" or "add" or "project"', '"mean"']],
    [DPTConfig, { ...dpt, neck_hidden_sizes: [12, 24, 48, 0] }, ['"neck_hidden_sizes"', 'positive integers']],
    [DPTConfig, { ...dpt, reassemble_factors: [4, 2, 1, 0.3] }, ['"reassemble_factors"', 'one over them']],
    [DPTConfig, { ...dpt, reassemble_factors: [4, 2] }, ['"reassemble_factors"', '4, as many as neck_hidden_sizes']],
    [DPTConfig, { ...dpt, head_in_index: 4 }, ['"head_in_index"', 'from -4 to 3', 'found 4']],
    [DPTConfig, { ...dpt, output_attentions: 'yes' }, ['"output_attentions"', 'true or false']],
    [DPTConfig, { ...dpt, extra: { deep: 1n } }, ['"deep"', 'a value that JSON can hold']],
    [DPTConfig, { ...dpt, extra: cyclic }, ['values that JSON can hold']],
    [DPTConfig, { ...dpt, fusion_hidden_size: Number.NaN }, ['"fusion_hidden_size"', 'found NaN']],
    [AnythingConfig, { backbone: 'facebook/dinov2-base' }, ['"backbone_config"', 'found nothing']],
    [AnythingConfig, { reassemble_hidden_size: 768 }, ['"reassemble_hidden_size"', 'hidden_size 384', 'found 768']],
    [AnythingConfig, { patch_size: 16 }, ['"patch_size"', 'patch_size 14', 'found 16']],
    [AnythingConfig, { depth_estimation_type: 'disparity' }, ['"depth_estimation_type"', '"relative" or "metric"']],
    [AnythingConfig, { max_depth: -1 }, ['"max_depth"', 'a positive number']],
    [AnythingConfig, { fusion_hidden_size: 1 }, ['"fusion_hidden_size"', 'at least 2']],
  ];
  for (const [Config, fields, parts] of cases) await refuses(() => new Config(fields as DepthConfigFields), ConfigError, ...parts);
});

test.run();
