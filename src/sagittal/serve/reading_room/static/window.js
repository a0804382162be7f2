// The LINEAR window function of DICOM PS3.3 C.11.2.1.2.1, as a table over all 16-bit samples.
// The server's sagittal.serve.pixels.window_values computes the same numbers; a test compares them.

export function table({ dtype, slope, intercept }, width, level, inverted) {
  const pixels = new Uint32Array(65536);
  const span = Math.max(width - 1, 1e-6);
  const centre = level - 0.5;
  for (let stored = 0; stored < 65536; stored += 1) {
    const raw = dtype === "int16" && stored > 32767 ? stored - 65536 : stored;
    const scaled = ((raw * slope + intercept - centre) / span + 0.5) * 255;
    let grey = Math.floor(Math.min(255, Math.max(0, scaled)) + 0.5);
    if (inverted) {
      grey = 255 - grey;
    }
    pixels[stored] = 0xff000000 | (grey * 0x010101);
  }
  return pixels;
}

// Samples (Uint16Array, little endian on every machine a browser runs on) to a picture.
export function paint(samples, pixels, image) {
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < samples.length; i += 1) {
    out[i] = pixels[samples[i]];
  }
}
