// One image: a canvas of pixels, a canvas of outlines over it, and text at its edges.

import { clamp, locate, position } from "./geometry.js";
import { outline } from "./outline.js";
import { maskPath, pixelsPath } from "./source.js";
import { paint, table } from "./window.js";

const COLOURS = { lesion: "#ffb454", selected: "#5ad1ff", anatomy: "rgba(140, 205, 255, 0.75)", line: "rgba(90, 209, 255, 0.55)" };
const NICE = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const AHEAD = 4;

export class Pane {
  constructor(viewer, hung) {
    this.viewer = viewer;
    this.root = document.createElement("div");
    this.root.className = "pane";
    this.root.tabIndex = -1;
    this.base = this.canvas("pixels");
    this.over = this.canvas("outlines");
    this.words = {};
    for (const name of ["top", "bottom", "left", "right", "title", "place", "values", "warning"]) {
      this.words[name] = this.element("span", `word ${name}`);
    }
    this.bar = this.element("div", "bar");
    this.barWord = this.element("span", "word bar-word");
    this.sheet = document.createElement("canvas");
    this.contours = new Map();
    this.show(hung.series, hung.plane, hung.preset);
  }

  element(tag, name) {
    const made = document.createElement(tag);
    made.className = name;
    this.root.append(made);
    return made;
  }

  canvas(name) {
    const made = this.element("canvas", name);
    return made;
  }

  show(series, plane, preset = 0) {
    this.series = series;
    this.about = this.viewer.manifest.series[series];
    this.plane = plane in this.about.planes ? plane : Object.keys(this.about.planes)[0];
    this.info = this.about.planes[this.plane];
    this.k = Math.floor(this.info.count / 2);
    this.inverted = false;
    this.root.classList.toggle("prior", this.about.prior);
    this.view();
    this.preset(preset);
    this.blank();
  }

  // Nothing is shown: better no image than another one under this one's name.
  blank() {
    [this.drawn, this.painted] = [null, null];
    for (const canvas of [this.base, this.over]) {
      canvas.getContext("2d").setTransform(1, 0, 0, 1, 0, 0);
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    }
  }

  view() {
    this.zoom = 1;
    this.actual = false;
    this.pan = [0, 0];
  }

  preset(number) {
    const chosen = this.about.presets[number];
    if (!chosen) {
      return false;
    }
    [this.width, this.level] = [chosen.width, chosen.level];
    return true;
  }

  get position() {
    return position(this.info, this.k);
  }

  scroll(k) {
    this.k = clamp(Math.round(k), 0, this.info.count - 1);
  }

  // Place of the picture on the canvas: left, top, and screen pixels a column and a row.
  frame() {
    const { rows, columns, row_pitch: py, column_pitch: px } = this.info;
    const [w, h] = [this.base.width, this.base.height];
    let scale;
    if (this.actual) {
      scale = this.zoom / Math.min(px, py);
    } else {
      scale = this.zoom * Math.min(w / (columns * px), h / (rows * py));
    }
    const [sx, sy] = [scale * px, scale * py];
    let left = (w - columns * sx) / 2 + this.pan[0];
    let top = (h - rows * sy) / 2 + this.pan[1];
    if (this.actual) {
      [left, top] = [Math.round(left), Math.round(top)];
    }
    return { left, top, sx, sy };
  }

  size() {
    const box = this.root.getBoundingClientRect();
    // The screen's own pixels, which on a fine screen are smaller than the page's.
    this.ratio = window.devicePixelRatio || 1;
    const [w, h] = [box.width, box.height].map((length) => Math.max(1, Math.round(length * this.ratio)));
    for (const canvas of [this.base, this.over]) {
      if (canvas.width !== w || canvas.height !== h) {
        [canvas.width, canvas.height] = [w, h];
      }
    }
  }

  // Draws now what is here, and again when the wanted slice has come.
  draw() {
    const source = this.viewer.source;
    const path = pixelsPath(this.series, this.plane, this.k);
    const buffer = source.peek(path);
    if (buffer) {
      this.render(buffer, path);
      this.ahead();
    } else {
      source.get(path).then(() => this.viewer.schedule(), (error) => this.warn(path, error));
    }
    this.write();
  }

  warn(path, error) {
    if (path === pixelsPath(this.series, this.plane, this.k)) {
      this.blank();
      this.write();
      this.words.warning.textContent = `slice ${this.k + 1} is not available (${error.message})`;
    }
  }

  render(buffer, path) {
    const { rows, columns } = this.info;
    const key = [path, this.width, this.level, this.inverted].join(" ");
    if (this.painted !== key) {
      if (this.sheet.width !== columns || this.sheet.height !== rows) {
        [this.sheet.width, this.sheet.height] = [columns, rows];
      }
      const look = [this.series, this.width, this.level, this.inverted].join(" ");
      if (this.look !== look) {
        this.pixels = table(this.about, this.width, this.level, this.inverted);
        this.look = look;
      }
      const context = this.sheet.getContext("2d");
      const image = context.createImageData(columns, rows);
      paint(new Uint16Array(buffer), this.pixels, image);
      context.putImageData(image, 0, 0);
      this.painted = key;
    }
    const { left, top, sx, sy } = this.frame();
    const context = this.base.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.base.width, this.base.height);
    context.imageSmoothingEnabled = !(Number.isInteger(sx) && Number.isInteger(sy));
    context.imageSmoothingQuality = "high";
    context.drawImage(this.sheet, left, top, columns * sx, rows * sy);
    this.drawn = this.k;
    this.decorate({ left, top, sx, sy });
  }

  ahead() {
    for (let step = 1; step <= AHEAD; step += 1) {
      for (const k of [this.k + step, this.k - step]) {
        if (k >= 0 && k < this.info.count) {
          this.viewer.source.get(pixelsPath(this.series, this.plane, k)).catch(() => {});
        }
      }
    }
  }

  decorate(frame) {
    const context = this.over.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.over.width, this.over.height);
    // Outlines and words are drawn in the page's pixels, however fine the screen.
    const ratio = this.ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    frame = Object.fromEntries(Object.entries(frame).map(([name, value]) => [name, value / ratio]));
    this.reference(context, frame);
    if (!this.viewer.overlay || this.viewer.hidden) {
      return;
    }
    // The chosen outline last: rim, core and oedema of one lesion lie over each other.
    const chosen = (mask) => mask.findings.includes(this.viewer.selected);
    const order = [...this.viewer.manifest.masks].sort((a, b) => chosen(a) - chosen(b));
    for (const mask of order) {
      if (mask.grid === this.about.grid && (chosen(mask) || !mask.scattered)) {
        this.contour(context, frame, mask, chosen(mask));
      }
    }
    this.bracket(context, frame);
  }

  contour(context, { left, top, sx, sy }, mask, chosen) {
    const path = maskPath(mask.number, this.plane, this.k);
    let lines = this.contours.get(path);
    if (!lines) {
      const bits = this.viewer.source.peek(path);
      if (!bits) {
        this.viewer.source.get(path).then(() => this.viewer.schedule(), () => {});
        return;
      }
      lines = outline(new Uint8Array(bits), this.info.rows, this.info.columns);
      this.contours.set(path, lines);
    }
    context.beginPath();
    for (let i = 0; i < lines.length; i += 4) {
      context.moveTo(left + lines[i] * sx, top + lines[i + 1] * sy);
      context.lineTo(left + lines[i + 2] * sx, top + lines[i + 3] * sy);
    }
    context.lineCap = "round";
    context.lineWidth = chosen ? (mask.scattered ? 1 : 2) : mask.anatomy ? 1 : 1.5;
    context.strokeStyle = chosen ? COLOURS.selected : mask.anatomy ? COLOURS.anatomy : COLOURS.lesion;
    context.stroke();
  }

  // Corner brackets and the name of the selected finding.
  bracket(context, { left, top, sx, sy }) {
    const target = this.viewer.target(this.viewer.selected);
    if (!target || !target.box || !this.shares(target.series)) {
      return;
    }
    const index = target.box.map((point) => locate(this.info, point));
    const range = (axis) => [Math.min(...index.map((p) => p[axis])), Math.max(...index.map((p) => p[axis]))];
    const [k0, k1] = range(0);
    if (this.plane !== "film" && (this.k < k0 - 0.01 || this.k > k1 + 0.01)) {
      return;
    }
    const [r0, r1] = range(1);
    const [c0, c1] = range(2);
    const gap = 7;
    const [x0, y0] = [left + (c0 + 0.5) * sx - gap, top + (r0 + 0.5) * sy - gap];
    const [x1, y1] = [left + (c1 + 0.5) * sx + gap, top + (r1 + 0.5) * sy + gap];
    const arm = Math.min(14, (x1 - x0) / 3, (y1 - y0) / 3);
    context.strokeStyle = COLOURS.selected;
    context.lineWidth = 1.5;
    context.beginPath();
    for (const [x, y, dx, dy] of [[x0, y0, 1, 1], [x1, y0, -1, 1], [x0, y1, 1, -1], [x1, y1, -1, -1]]) {
      context.moveTo(x + dx * arm, y);
      context.lineTo(x, y);
      context.lineTo(x, y + dy * arm);
    }
    context.stroke();
    context.font = "500 12px system-ui, sans-serif";
    const [name, y] = [this.viewer.name(target.uid), y0 > 18 ? y0 - 6 : y1 + 16];
    context.strokeStyle = "rgba(0, 0, 0, 0.8)";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeText(name, x0, y);
    context.fillStyle = COLOURS.selected;
    context.fillText(name, x0, y);
  }

  shares(series) {
    const other = this.viewer.manifest.series[series];
    return series === this.series || other.grid === this.about.grid
      || (!this.about.prior && other.frame !== null && other.frame === this.about.frame);
  }

  // Where the active pane cuts this one.
  reference(context, { left, top, sx, sy }) {
    const active = this.viewer.active;
    if (!active || active === this || active.plane === this.plane || this.plane === "film" || active.plane === "film"
      || !this.viewer.overlay || this.about.prior !== active.about.prior || !this.shares(active.series)) {
      return;
    }
    const { rows, columns, affine: m } = active.info;
    const middle = [active.k, (rows - 1) / 2, (columns - 1) / 2];
    const point = [0, 4, 8].map((i) => m[i] * middle[0] + m[i + 1] * middle[1] + m[i + 2] * middle[2] + m[i + 3]);
    const [, row, column] = locate(this.info, point);
    const upright = active.plane === "sagittal" || (this.plane === "sagittal" && active.plane === "coronal");
    context.strokeStyle = COLOURS.line;
    context.lineWidth = 1;
    context.setLineDash([5, 5]);
    context.beginPath();
    if (upright) {
      const x = Math.round(left + (column + 0.5) * sx) + 0.5;
      context.moveTo(x, top);
      context.lineTo(x, top + this.info.rows * sy);
    } else {
      const y = Math.round(top + (row + 0.5) * sy) + 0.5;
      context.moveTo(left, y);
      context.lineTo(left + this.info.columns * sx, y);
    }
    context.stroke();
    context.setLineDash([]);
  }

  write() {
    const { about, info, words } = this;
    for (const side of ["top", "bottom", "left", "right"]) {
      words[side].textContent = info.edges[side];
    }
    words.title.textContent = `${about.prior ? `PRIOR ${about.date}` : about.date}\n${about.label}`;
    const place = [];
    if (this.plane !== "film") {
      // The slice on the screen, not the one on its way.
      const k = this.drawn ?? this.k;
      place.push(`${this.plane} ${k + 1} / ${info.count}`, `${position(info, k).toFixed(1)} mm`);
    }
    words.place.textContent = place.join("\n");
    const unit = about.unit === "HU" ? " HU" : "";
    const { sx } = this.frame();
    words.values.textContent = `W ${Math.round(this.width)}  L ${Math.round(this.level)}${unit}\n`
      + `${this.inverted ? "inverted  " : ""}${sx.toFixed(2)} px / pixel`;
    const scale = about.length === "mm" ? about.spacing_note && `scale ${about.spacing_note}` : "no millimetres in the file";
    words.warning.textContent = [about.stated, scale, ...about.problems].filter(Boolean).join("\n");
    this.scaleBar(sx / this.ratio / info.column_pitch);
  }

  scaleBar(perUnit) {
    const known = this.about.length === "mm";
    const length = NICE.filter((mm) => mm * perUnit <= this.base.width / this.ratio / 4).pop();
    this.bar.hidden = !known || !length;
    this.barWord.textContent = this.bar.hidden ? "" : `${length} mm`;
    if (!this.bar.hidden) {
      this.bar.style.width = `${length * perUnit}px`;
    }
  }

  // Screen position to index, for tools that start at a point.
  centreOn(point) {
    const { sx, sy } = this.frame();
    const [, row, column] = locate(this.info, point);
    if (this.zoom > 1 || this.actual) {
      this.pan = [(this.info.columns / 2 - column - 0.5) * sx, (this.info.rows / 2 - row - 0.5) * sy];
    }
  }

  get state() {
    return {
      series: this.series, plane: this.plane, k: this.k, count: this.info.count, width: this.width,
      level: this.level, inverted: this.inverted, zoom: this.zoom, actual: this.actual, pan: [...this.pan],
      prior: this.about.prior, ready: this.drawn === this.k, frame: this.frame(),
    };
  }
}
