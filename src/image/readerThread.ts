/** What the threads of an {@link ImageReader} run. */

import { host } from '#host';
import '#kernels';
import { answerQuestion } from './reading.ts';

host.helpers?.answer(answerQuestion);
