import { openHead } from '../checkpoint/headNames.ts';
import { HUB_FILES, openCanonical } from '../checkpoint/shards.ts';
import { ArgumentError, CheckpointError } from '../errors.ts';
import { describe, type JsonObject } from '../files/json.ts';
import { fileSystem, type ModelSource } from '../files/source.ts';
import { openModel } from '../hub/source.ts';
import type { DPTImageProcessor } from '../image/dptProcessor.ts';
import { PROCESSOR_FILE } from '../image/processing.ts';
import { AutoImageProcessor, type BitImageProcessor } from '../image/processor.ts';
import { AutoConfig, CONFIG_FILE, type Dinov2Config, type Dinov2ConfigFields, readConfig } from './config.ts';
import { DepthAnythingForDepthEstimation, DPTForDepthEstimation } from './depth.ts';
import { Dinov2ForImageClassification, Dinov2Model } from './dinov2.ts';
import { Dinov2ForDepthEstimation } from './dinov2Heads.ts';
import type { Dinov2DepthConfig } from './headConfig.ts';
import { recogniseHead } from './heads.ts';
import type { LoadOptions } from './loading.ts';
import type { FromPretrainedOptions, Opened, SavePretrainedOptions } from './pretrained.ts';
import { processorFor } from './processors.ts';
import { Dinov2WithRegistersForImageClassification, Dinov2WithRegistersModel } from './withRegisters.ts';

export interface ConvertOptions extends SavePretrainedOptions, LoadOptions {
  /** A head in a file of its own, to go on the encoder that the source is. */
  head?: ModelSource;
  /** Fields that replace those of config.json, or that tensors do not tell. */
  config?: Dinov2ConfigFields;
  /** Whether files that are there already may be replaced. Default false. */
  overwrite?: boolean;
}

/** A class of models that transformers has too. */
interface Target {
  readonly Model: new (config: Dinov2Config, options: { initialize: boolean }) => AnyModel;
  /** The same as a class that loads itself. */
  readonly Class: typeof Dinov2Model;
  open(source: ModelSource, options: FromPretrainedOptions): Promise<Opened>;
}

type AnyModel = Pick<Dinov2Model, 'saveFrom' | 'dispose'>;

/**
 * Writes a model into a folder as transformers has it: config.json, model.safetensors or its shards, and preprocessor_config.json, the
 * source's own or that of the released models. Tensors go from file to file one by one.
 * @returns the class of transformers that loads it
 * @throws {ArgumentError} when there are such files already, or when transformers has no such head
 * @throws {NotFoundError} {CheckpointError} {ConfigError} when the source is no model, or the head does not fit it; the signal's reason
 */
export async function convertCheckpoint(source: ModelSource, folder: string, options: ConvertOptions = {}): Promise<string> {
  const { head, config = {}, overwrite = false, ...saving } = options;
  if (!overwrite) await checkEmpty(folder);
  const files = await openModel(source);
  const { Model, open } = await targetOf(files, head, config);
  const { config: full, checkpoint } = await open(files, { config, ...(head !== undefined && { head }) });
  try {
    const hasOwn = await files.has(PROCESSOR_FILE);
    const processor = hasOwn ? await AutoImageProcessor.from_pretrained<BitImageProcessor | DPTImageProcessor>(files) : processorFor(full);
    const model = new Model(full, { initialize: false });
    await model.saveFrom(checkpoint, folder, { ...saving, processor }).finally(() => model.dispose());
  } finally {
    await checkpoint.close();
  }
  return Model.name;
}

/** @throws {ArgumentError} when there is a model in a folder already */
export async function checkEmpty(folder: string): Promise<void> {
  const files = fileSystem();
  if ((await files.kind(folder)) === 'file') throw new ArgumentError(`${folder}: expected a folder, or none yet, found a file`);
  for (const file of [CONFIG_FILE, ...HUB_FILES, PROCESSOR_FILE]) {
    if ((await files.kind(files.join(folder, file))) !== 'none') {
      throw new ArgumentError(`${folder}: expected a folder without a model, found ${file} in it: give another, or ask to overwrite`);
    }
  }
}

/** Which class of models a checkpoint is for. @throws {CheckpointError} when transformers has none */
export async function targetOf(source: ModelSource, head: ModelSource | undefined, config: Dinov2ConfigFields): Promise<Target> {
  const { name, fields } = await readConfig(source, config);
  if (head !== undefined) return targetOfHead(await AutoConfig.from_pretrained(source, config), head, name);
  const type = fields.model_type;
  if (type === 'depth_anything') return target(DepthAnythingForDepthEstimation);
  if (type === 'dpt') return target(DPTForDepthEstimation);
  const checkpoint = await openCanonical(source);
  await checkpoint.close();
  const hasClassifier = checkpoint.entries.has('classifier.weight');
  if (type === 'dinov2') return target(hasClassifier ? Dinov2ForImageClassification : Dinov2Model);
  if (type === 'dinov2_with_registers') {
    return target(hasClassifier ? Dinov2WithRegistersForImageClassification : Dinov2WithRegistersModel);
  }
  throw new CheckpointError(`${name}: expected a model that transformers has, found the model_type ${describe(type)}`);
}

async function targetOfHead(encoder: Dinov2Config, head: ModelSource, encoderName: string): Promise<Target> {
  const file = await openHead(head);
  await file.close();
  const { kind, fields } = recogniseHead(file, encoder, encoderName);
  if (kind === 'classifier' && fields.classifier_layers === 1) {
    return target(encoder.registers > 0 ? Dinov2WithRegistersForImageClassification : Dinov2ForImageClassification);
  }
  if (kind === 'DPT depth head') return { ...target(DPTForDepthEstimation), open: openDpt(encoder) };
  const what = kind === 'classifier' ? 'one on 4 layers' : `a ${kind}`;
  throw new ArgumentError(
    `${file.name}: expected a head that transformers has, a classifier on 1 layer or DPT, found ${what}: from_pretrained takes it as it is`,
  );
}

function target(Model: unknown): Target {
  const Class = Model as Target['Model'] & typeof Dinov2Model;
  return { Model: Class, Class, open: (source, options) => Class.open(source, options) };
}

/**
 * The encoder and a DPT head of facebookresearch/dinov2 as transformers' DPT, whose depth is not brought to a range. The configuration is
 * that of facebook/dpt-dinov2-small-nyu and its like.
 */
function openDpt(encoder: Dinov2Config): Target['open'] {
  return async (source, options) => {
    const { config, checkpoint } = await Dinov2ForDepthEstimation.open(source, { ...options, depthRange: 'upstream' });
    const { neck_hidden_sizes, fusion_hidden_size, out_indices } = config as Dinov2DepthConfig;
    const { out_features: _, ...rest } = encoder.to_dict();
    const fields: JsonObject = {
      backbone_config: { ...rest, out_indices, apply_layernorm: false, reshape_hidden_states: false },
      neck_hidden_sizes,
      fusion_hidden_size,
      readout_type: 'project',
      add_projection: true,
      use_bias_in_fusion_residual: false,
    };
    return { config: new DPTForDepthEstimation.Config(fields), checkpoint };
  };
}
