/** What every error of this library has in common: a message that says what was expected, what was found, and what to do. */
export class Dinov2Error extends Error {
  override readonly name: string = 'Dinov2Error';
}

/** A configuration (config.json, preprocessor_config.json or its object form) with a wrong type or an impossible combination. */
export class ConfigError extends Dinov2Error {
  override readonly name: string = 'ConfigError';
}

/** An argument or option that the function does not take. */
export class ArgumentError extends Dinov2Error {
  override readonly name: string = 'ArgumentError';
}

/** Dimensions that do not fit the operation. */
export class ShapeError extends Dinov2Error {
  override readonly name: string = 'ShapeError';
}

/** A data type that the operation does not take. */
export class DTypeError extends Dinov2Error {
  override readonly name: string = 'DTypeError';
}

/** A checkpoint file that is truncated, lying about itself, or holds other tensors than the model needs. */
export class CheckpointError extends Dinov2Error {
  override readonly name: string = 'CheckpointError';
}

/** A model folder or file that is not there. */
export class NotFoundError extends Dinov2Error {
  override readonly name: string = 'NotFoundError';
}

/** Bytes that are not a readable picture, or a picture of an impossible or absurd size. */
export class ImageError extends Dinov2Error {
  override readonly name: string = 'ImageError';
}

/** Memory that the engine could not have, because of a limit set by the user or by WebAssembly. */
export class MemoryError extends Dinov2Error {
  override readonly name: string = 'MemoryError';
}

/** More than a limit of the option `limits` allows: of pixels, bytes, tensors or seconds. */
export class LimitError extends Dinov2Error {
  override readonly name: string = 'LimitError';
}

/** A host that lacks something the engine cannot do without. */
export class HostError extends Dinov2Error {
  override readonly name: string = 'HostError';
}

/** A thread of an engine that ended, or failed, while it was needed. */
export class ThreadError extends Dinov2Error {
  override readonly name: string = 'ThreadError';
}

/** Work that took longer than it may. */
export class TimeoutError extends Dinov2Error {
  override readonly name: string = 'TimeoutError';
}

/** Something used after it was disposed. */
export class DisposedError extends Dinov2Error {
  override readonly name: string = 'DisposedError';
}

/** Something on the network for which a name and password, a token or a licence that was accepted is missing. */
export class AccessError extends Dinov2Error {
  override readonly name: string = 'AccessError';
}

/** A server that did not answer, or not to the end, however often it was asked. */
export class NetworkError extends Dinov2Error {
  override readonly name: string = 'NetworkError';
}

/** A download that is not what it was said to be: a web page, of another length, with other bytes. */
export class IntegrityError extends Dinov2Error {
  override readonly name: string = 'IntegrityError';
}
