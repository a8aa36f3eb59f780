interface CallMethod<A extends unknown[], R> {
  (...args: A): R;
  _call(...args: A): R;
}

class CallableBase {
  constructor() {
    const instance = (...args: unknown[]): unknown => (instance as unknown as CallMethod<unknown[], unknown>)._call(...args);
    // biome-ignore lint/correctness/noConstructorReturn: the instance has to be a function, and there is no other way to that without eval
    return Object.setPrototypeOf(instance, new.target.prototype);
  }
}
Object.setPrototypeOf(CallableBase.prototype, Function.prototype);

/**
 * Base of classes whose instances are called like functions, as models and processors of transformers: a call runs the instance's _call.
 * `class Sum extends Callable<[a: number, b: number], number> { override _call(a, b) { return a + b; } }`, then `new Sum()(1, 2)`.
 */
export const Callable = CallableBase as unknown as abstract new <A extends unknown[], R>() => CallMethod<A, R>;
