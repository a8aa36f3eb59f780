// Loads a model in a process of its own: `loader.ts NAME`. Prints the first value of its output.
import { AutoModel } from '../../src/models/auto.ts';
import { pixels } from '../models/helpers.ts';

const model = await AutoModel.from_pretrained(process.argv[2] as string);
const { last_hidden_state } = await model(pixels(1));
process.stdout.write(String(last_hidden_state.data[0]));
