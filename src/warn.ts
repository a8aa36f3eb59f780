const warned = new Set<string>();

/** Says on the console what does not keep anything from working, the first time. */
export function warnOnce(message: string): void {
  if (!warned.has(message)) console.warn(`dinov2-wasm: ${message}`);
  warned.add(message);
}
