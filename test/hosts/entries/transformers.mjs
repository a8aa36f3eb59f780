// The same code for transformers.js and for this library: only the import differs, which is the first argument. Prints what came out as JSON.
const { AutoImageProcessor, AutoModel, env, RawImage, Tensor } = await import(process.argv[2]);

if (env) Object.assign(env, { localModelPath: process.cwd(), allowRemoteModels: false }); // transformers.js looks for folders elsewhere

const processor = await AutoImageProcessor.from_pretrained('model');
const model = await AutoModel.from_pretrained('model', { dtype: 'fp32' });

const image = await RawImage.read(process.argv[3]);
const { pixel_values } = await processor(image);
const outputs = await model({ pixel_values });

const numbers = Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => Math.sin(i / 97) + Math.cos(i / 13));
const exact = await model({ pixel_values: new Tensor('float32', numbers, [1, 3, 224, 224]) });

const describe = ({ type, dims, data }) => ({ type, dims, data: Array.from(data) });
console.log(
  JSON.stringify({
    image: { width: image.width, height: image.height, channels: image.channels, size: image.size },
    pixel_values: describe(pixel_values),
    names: Object.keys(outputs),
    last_hidden_state: describe(outputs.last_hidden_state),
    exact: describe(exact.last_hidden_state),
    config: { model_type: model.config.model_type, hidden_size: model.config.hidden_size },
  }),
);
