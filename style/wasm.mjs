// Reads WASM sections and writes LEB128 numbers; shared by the steps of the build.
const CUSTOM = 0;

/** A module's bytes, and where in them one is. */
export class Wasm {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 8;
  }

  byte() {
    return this.bytes[this.at++];
  }

  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }

  text() {
    const length = this.number();
    this.at += length;
    return this.bytes.toString("utf8", this.at - length, this.at);
  }

  /** All sections: id, where it begins, where its content does, where it ends, and a custom one's name. */
  sections() {
    const found = [];
    for (this.at = 8; this.at < this.bytes.length; ) {
      const begin = this.at;
      const id = this.byte();
      const end = this.number() + this.at;
      const content = this.at;
      found.push({ id, begin, content, end, name: id === CUSTOM ? this.text() : undefined, rest: this.at });
      this.at = end;
    }
    return found;
  }

  /** The module with another section `id` of `content` in the place of one. */
  replaced({ begin, end }, id, content) {
    const written = [Buffer.from([id]), encoded(content.length), content];
    return Buffer.concat([this.bytes.subarray(0, begin), ...written, this.bytes.subarray(end)]);
  }
}

export function encoded(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}
