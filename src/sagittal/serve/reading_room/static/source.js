// Slices and masks from the server, kept up to a number of bytes, the least used dropped first.

const LIMIT = 256 * 1024 * 1024;

export class Source {
  constructor(base) {
    this.base = base;
    this.held = new Map();
    this.bytes = 0;
    this.coming = new Map();
  }

  peek(path) {
    const found = this.held.get(path);
    if (found) {
      this.held.delete(path);
      this.held.set(path, found);
    }
    return found;
  }

  async get(path) {
    const found = this.peek(path);
    if (found) {
      return found;
    }
    if (!this.coming.has(path)) {
      this.coming.set(path, this.fetch(path).finally(() => this.coming.delete(path)));
    }
    return this.coming.get(path);
  }

  async fetch(path) {
    const response = await fetch(this.base + path, { credentials: "same-origin" });
    if (!response.ok) {
      throw new Error(`${response.status} for ${path}`);
    }
    const buffer = await response.arrayBuffer();
    this.held.set(path, buffer);
    this.bytes += buffer.byteLength;
    for (const [old, dropped] of this.held) {
      if (this.bytes <= LIMIT || old === path) {
        break;
      }
      this.held.delete(old);
      this.bytes -= dropped.byteLength;
    }
    return buffer;
  }
}

export const pixelsPath = (series, plane, k) => `/pixels/${series}/${plane}/${k}`;
export const maskPath = (number, plane, k) => `/masks/${number}/${plane}/${k}`;
