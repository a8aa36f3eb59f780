/** A service over HTTP that answers questions about images, on any host that has web-standard requests. */
export type { Gauge } from './metrics.ts';
export type { Answerer, SearchIndex } from './routes.ts';
export { DEFAULT_LIMITS, Service, type ServiceLimits, type ServiceOptions } from './service.ts';
