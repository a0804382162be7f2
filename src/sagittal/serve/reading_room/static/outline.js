// Outlines of bit masks: marching squares over pixel centres, so a contour runs half-way between
// the last pixel inside and the first outside.

// Segments [x0, y0, x1, y1, ...] in pixel coordinates (a pixel's centre is at +0.5).
export function outline(bits, rows, columns) {
  const at = (r, c) => {
    if (r < 0 || c < 0 || r >= rows || c >= columns) {
      return 0;
    }
    const i = r * columns + c;
    return (bits[i >> 3] >> (i & 7)) & 1;
  };
  const segments = [];
  for (let r = -1; r < rows; r += 1) {
    for (let c = -1; c < columns; c += 1) {
      const kind = at(r, c) | (at(r, c + 1) << 1) | (at(r + 1, c + 1) << 2) | (at(r + 1, c) << 3);
      if (kind === 0 || kind === 15) {
        continue;
      }
      const top = [c + 1, r + 0.5];
      const right = [c + 1.5, r + 1];
      const bottom = [c + 1, r + 1.5];
      const left = [c + 0.5, r + 1];
      for (const [from, to] of CASES[kind].map((pair) => pair.map((side) => ({ top, right, bottom, left })[side]))) {
        segments.push(from[0], from[1], to[0], to[1]);
      }
    }
  }
  return new Float32Array(segments);
}

const CASES = {
  1: [["left", "top"]],
  2: [["top", "right"]],
  3: [["left", "right"]],
  4: [["right", "bottom"]],
  5: [["left", "top"], ["right", "bottom"]],
  6: [["top", "bottom"]],
  7: [["left", "bottom"]],
  8: [["bottom", "left"]],
  9: [["bottom", "top"]],
  10: [["top", "right"], ["bottom", "left"]],
  11: [["bottom", "right"]],
  12: [["right", "left"]],
  13: [["right", "top"]],
  14: [["top", "left"]],
};
