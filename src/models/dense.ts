import type { Stage } from '../heads/dpt.ts';
import { copyTo, type Float32, fetch, owned, place } from '../tensor/place.ts';
import type { Dinov2Config } from './config.ts';
import { type CallOptions, gridOf, type Request } from './inputs.ts';
import type { EncoderOutput } from './outputs.ts';
import { Dinov2PreTrainedModel, observe } from './pretrained.ts';

/** What a decoder has to know of a picture. */
export interface Picture {
  /** Rows and columns of patches. */
  readonly grid: readonly [rows: number, columns: number];
  /** [height, width] of the pixels as they were given, before any padding. */
  readonly size: readonly [height: number, width: number];
}

/** An encoder of which several stages go through a head to a map: the stages in out_features, through the final norm if apply_layernorm. */
export abstract class DenseModel<Config extends Dinov2Config, Output extends EncoderOutput> extends Dinov2PreTrainedModel<
  Output,
  CallOptions
> {
  static override readonly encoderName: string = 'backbone';
  declare readonly config: Config;

  protected get accepts(): readonly string[] {
    return [];
  }

  /** The stages of one picture, the shallowest first -> a map. */
  protected abstract decode(stages: readonly Stage[], picture: Picture): Float32;

  /** The maps (batch, ...) as the model gives them. */
  protected abstract wrap(maps: Float32): Output;

  /** pixels (batch, channels, height, width) as the encoder gets them */
  protected prepare(pixels: Float32): Float32 {
    return pixels;
  }

  protected async run(given: Float32, request: Request): Promise<Output> {
    const { observer, output } = observe(request);
    const { stage_names, out_features } = this.config;
    const pixels = this.prepare(given);
    const states: Float32[] = [];
    await this.encoder.forward(pixels, request, {
      ...observer,
      hidden: (layer, x) => {
        observer.hidden?.(layer, x);
        if (out_features.includes(stage_names[layer] as string)) states.push(this.#state(x));
      },
    });
    const [batch, , height, width] = pixels.dims as [number, number, number, number];
    const [, , ...size] = given.dims as [number, number, number, number];
    const grid = gridOf(this.config, height, width);
    let maps: Float32 | undefined;
    for (let i = 0; i < batch; i++) {
      this.engine.scope(() => {
        const map = this.decode(
          states.map((state) => this.#stage(state.at(i), grid)),
          { grid, size },
        );
        maps ??= owned([batch, ...map.dims]);
        fetch(map, maps.at(i));
      });
    }
    return { ...this.wrap(maps as Float32), ...output };
  }

  /** x (batch, tokens, hidden), which the next block changes, as the head wants it */
  #state(x: Float32): Float32 {
    if (this.config.apply_layernorm) return this.encoder.layernorm.forward(x);
    const copy = place(this.engine, 'float32', x.dims);
    copyTo(copy, x);
    return copy;
  }

  /** state (tokens, hidden) */
  #stage(state: Float32, [rows, columns]: readonly [number, number]): Stage {
    return { classToken: state.at(0), patches: state.slice(1 + this.config.registers).reshape(rows, columns, -1) };
  }

  protected override parameterOf(tensor: string): string | undefined {
    return tensor;
  }
}
