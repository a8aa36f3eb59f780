declare module '*.wasm' {
  const module: WebAssembly.Module;
  // biome-ignore lint/style/noDefaultExport: that is how bundlers for edge runtimes give it
  export default module;
}

declare module '*.wasm?module' {
  const module: WebAssembly.Module;
  // biome-ignore lint/style/noDefaultExport: as above
  export default module;
}
