/**
 * u8_planes(count, channels, input, tables, output): pixels as numbers, each channel by itself
 *   output (channels, count) f32 = tables[channel][input (count, channels) u8], tables (channels, 256) f32
 */
export function u8_planes(count: i32, channels: i32, input: usize, tables: usize, output: usize): void {
  for (let channel = 0; channel < channels; channel++, tables += 1024) {
    let from = input + channel;
    for (const end = output + (<usize>count << 2); output < end; output += 4, from += channels) {
      store<u32>(output, load<u32>(tables + (<usize>load<u8>(from) << 2)));
    }
  }
}
