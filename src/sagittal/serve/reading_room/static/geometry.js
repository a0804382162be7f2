// Affine maps as row-major arrays of 16: index (plane, row, column) to patient millimetres and back.

export function apply(m, [a, b, c]) {
  return [
    m[0] * a + m[1] * b + m[2] * c + m[3],
    m[4] * a + m[5] * b + m[6] * c + m[7],
    m[8] * a + m[9] * b + m[10] * c + m[11],
  ];
}

export function invert(m) {
  const [a, b, c, , d, e, f, , g, h, i] = m;
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  if (Math.abs(det) < 1e-12) {
    return null;
  }
  const linear = [
    e * i - f * h, c * h - b * i, b * f - c * e,
    f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d,
  ].map((value) => value / det);
  const shift = [m[3], m[7], m[11]];
  const back = [];
  for (let row = 0; row < 3; row += 1) {
    const [x, y, z] = linear.slice(3 * row, 3 * row + 3);
    back.push(x, y, z, -(x * shift[0] + y * shift[1] + z * shift[2]));
  }
  return [...back, 0, 0, 0, 1];
}

// Index (plane, row, column) of a point in a plane; a film's map is singular, its points are
// (column, row, 0) times the pitch.
export function locate(plane, point) {
  if (!plane.inverse) {
    return [0, point[1] / plane.row_pitch, point[0] / plane.column_pitch];
  }
  return apply(plane.inverse, point);
}

// Millimetres along the normal of a plane at its slice k.
export function position(plane, k) {
  const m = plane.affine;
  const normal = [m[0], m[4], m[8]];
  const length = Math.hypot(...normal) || 1;
  const point = apply(m, [k, (plane.rows - 1) / 2, (plane.columns - 1) / 2]);
  return (point[0] * normal[0] + point[1] * normal[1] + point[2] * normal[2]) / length;
}

export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
