// The library as it is built.
export { EMBEDDED_MODEL } from '../../dist/index.js';
export { ImageTasks } from '../../dist/tasks/index.js';
