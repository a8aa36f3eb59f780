let table: Int32Array | undefined; // made when it is first asked for

/** The CRC-32 of zip (polynomial 0x04c11db7, reflected) of bytes that follow others whose checksum is `crc`. */
export function crc32(bytes: Uint8Array, crc = 0): number {
  table ??= crcTable();
  const t = table;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let c = ~crc;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    const a = data.getUint32(i, true) ^ c;
    const b = data.getUint32(i + 4, true);
    c =
      (t[1792 + (a & 255)] as number) ^
      (t[1536 + ((a >>> 8) & 255)] as number) ^
      (t[1280 + ((a >>> 16) & 255)] as number) ^
      (t[1024 + (a >>> 24)] as number) ^
      (t[768 + (b & 255)] as number) ^
      (t[512 + ((b >>> 8) & 255)] as number) ^
      (t[256 + ((b >>> 16) & 255)] as number) ^
      (t[b >>> 24] as number);
  }
  for (; i < bytes.length; i++) c = (t[(c ^ (bytes[i] as number)) & 255] as number) ^ (c >>> 8);
  return ~c >>> 0;
}

/**
 * Row t: the remainders of all bytes with t zero bytes behind them, so that eight can be taken at a time (Kounavis and Berry 2005,
 * "slicing by 8").
 */
function crcTable(): Int32Array {
  const table = new Int32Array(8 * 256);
  for (let i = 0; i < table.length; i++) {
    let c = i < 256 ? i : (table[i - 256] as number);
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    table[i] = c;
  }
  return table;
}
