// The viewer: panes in a grid, linked scrolling, window presets, tools, keys, and the way to a finding.

import { clamp, invert, locate, position } from "./geometry.js";
import { Pane } from "./pane.js";
import { Source } from "./source.js";

const LAYOUTS = { one: [1, 1], two: [2, 2], four: [2, 4] };

export class Viewer {
  constructor(root, base, manifest) {
    this.root = root;
    this.manifest = manifest;
    this.source = new Source(base);
    [this.overlay, this.linked, this.hidden, this.selected, this.tool] = [true, true, false, null, "window"];
    this.names = new Map();
    for (const series of Object.values(manifest.series)) {
      for (const plane of Object.values(series.planes)) {
        plane.inverse = invert(plane.affine);
      }
    }
    this.hang("hanging");
    new ResizeObserver(() => this.schedule()).observe(root);
    root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    root.addEventListener("pointerdown", (event) => this.press(event));
    root.addEventListener("contextmenu", (event) => event.preventDefault());
    root.addEventListener("dblclick", () => this.maximise());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  hang(name) {
    const { columns, panes } = this.manifest.layout;
    const [across, count] = name === "hanging" ? [columns, panes.length] : LAYOUTS[name];
    const wanted = panes.slice(0, count);
    const keys = Object.keys(this.manifest.series).filter((key) => !wanted.some((p) => p.series === key));
    while (wanted.length < count && keys.length) {
      wanted.push({ series: keys.shift(), plane: "axial", preset: 0 });
    }
    this.layout = name;
    this.panes = wanted.map((hung) => new Pane(this, hung));
    this.root.dataset.columns = String(Math.min(across, this.panes.length || 1));
    this.root.dataset.rows = String(Math.ceil(this.panes.length / across) || 1);
    this.root.replaceChildren(...this.panes.map((pane) => pane.root));
    this.activate(this.panes[0]);
    this.anchor();
  }

  maximise() {
    this.big = !this.big;
    this.root.classList.toggle("maximised", this.big);
    this.schedule();
  }

  activate(pane) {
    this.active = pane;
    for (const each of this.panes) {
      each.root.classList.toggle("active", each === pane);
    }
    this.schedule();
  }

  schedule() {
    if (!this.waiting) {
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        this.draw();
      });
    }
  }

  draw() {
    for (const pane of this.panes) {
      if (pane.root.offsetParent !== null || pane.root.getClientRects().length) {
        pane.size();
        pane.draw();
      }
    }
    this.changed?.();
  }

  // Scrolling ------------------------------------------------------------------------------------

  // Remember where each pane stands; panes without a common frame then move by equal millimetres.
  anchor() {
    for (const pane of this.panes) {
      pane.anchor = pane.position;
    }
  }

  link(on) {
    this.linked = on;
    this.anchor();
    this.schedule();
  }

  scroll(pane, k) {
    pane.scroll(k);
    if (this.linked) {
      for (const other of this.panes) {
        if (other !== pane && other.plane === pane.plane && pane.plane !== "film") {
          other.scroll(this.follow(pane, other));
        }
      }
    }
    this.schedule();
  }

  follow(pane, other) {
    const together = pane.series === other.series
      || (pane.about.frame !== null && pane.about.frame === other.about.frame);
    const target = together ? pane.position : other.anchor + pane.position - pane.anchor;
    const first = position(other.info, 0);
    return (target - first) / (other.info.step || 1);
  }

  wheel(event) {
    event.preventDefault();
    const pane = this.at(event);
    if (!pane) {
      return;
    }
    this.activate(pane);
    if (event.ctrlKey) {
      this.zoom(pane, event.deltaY < 0 ? 1.1 : 1 / 1.1);
    } else {
      // Turning the wheel towards oneself goes towards the feet, the back, the patient's left.
      this.scroll(pane, pane.k + Math.sign(event.deltaY) * (pane.plane === "axial" ? -1 : 1));
    }
  }

  // Tools ----------------------------------------------------------------------------------------

  at(event) {
    return this.panes.find((pane) => pane.root.contains(event.target));
  }

  press(event) {
    const pane = this.at(event);
    if (!pane) {
      return;
    }
    this.activate(pane);
    const tool = { 1: "pan", 2: "zoom" }[event.button] || this.tool;
    let [x, y] = [event.clientX, event.clientY];
    let travelled = 0;
    pane.root.setPointerCapture(event.pointerId);
    const move = (next) => {
      const [dx, dy] = [next.clientX - x, next.clientY - y];
      [x, y] = [next.clientX, next.clientY];
      if (tool === "window") {
        const speed = Math.max(pane.width / 400, 0.05);
        this.window(pane, pane.width + dx * speed, pane.level + dy * speed);
      } else if (tool === "pan") {
        pane.pan = [pane.pan[0] + dx * pane.ratio, pane.pan[1] + dy * pane.ratio];
      } else if (tool === "zoom") {
        this.zoom(pane, Math.exp(-dy / 200));
      } else {
        travelled += dy;
        const steps = Math.trunc(travelled / 6);
        travelled -= steps * 6;
        this.scroll(pane, pane.k + steps * (pane.plane === "axial" ? -1 : 1));
      }
      this.schedule();
    };
    const lift = () => {
      pane.root.removeEventListener("pointermove", move);
      pane.root.removeEventListener("pointerup", lift);
      pane.root.removeEventListener("pointercancel", lift);
    };
    pane.root.addEventListener("pointermove", move);
    pane.root.addEventListener("pointerup", lift);
    pane.root.addEventListener("pointercancel", lift);
    event.preventDefault();
  }

  zoom(pane, factor) {
    pane.zoom = clamp(pane.zoom * factor, 0.2, 20);
    this.schedule();
  }

  // Panes that showed the same window of the same kind of image keep showing the same.
  window(pane, width, level) {
    const [before, middle] = [pane.width, pane.level];
    for (const other of this.panes) {
      const alike = other.series === pane.series
        || (other.about.unit === "HU" && pane.about.unit === "HU");
      if (other === pane || (this.linked && alike && other.width === before && other.level === middle)) {
        [other.width, other.level] = [Math.max(1, width), level];
      }
    }
    this.schedule();
  }

  preset(number) {
    const chosen = this.active.about.presets[number];
    if (!chosen) {
      return;
    }
    if (this.active.about.unit === "HU") {
      this.window(this.active, chosen.width, chosen.level);
      return;
    }
    // Without a common unit every image has its own window of that name.
    for (const pane of this.panes) {
      if (pane === this.active || (this.linked && pane.plane === "film" && this.active.plane === "film")) {
        pane.preset(number);
      }
    }
    this.schedule();
  }

  invert() {
    this.active.inverted = !this.active.inverted;
    this.schedule();
  }

  reset() {
    this.active.view();
    this.active.inverted = false;
    this.preset(0);
  }

  actual() {
    this.active.view();
    this.active.actual = true;
    this.schedule();
  }

  toggleOverlay(on = !this.overlay) {
    this.overlay = on;
    this.schedule();
  }

  key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey
      || event.target.closest?.("input, textarea, select, dialog[open]")) {
      return;
    }
    if (event.key === " " && event.target.closest?.("button, summary, a")) {
      // Space presses what has the focus; it resets the images only when nothing has.
      return;
    }
    const pane = this.active;
    const up = pane?.plane === "axial" ? 1 : -1;
    const actions = {
      ArrowUp: () => this.scroll(pane, pane.k + up),
      ArrowDown: () => this.scroll(pane, pane.k - up),
      PageUp: () => this.scroll(pane, pane.k + 10 * up),
      PageDown: () => this.scroll(pane, pane.k - 10 * up),
      " ": () => this.reset(),
      i: () => this.invert(),
      o: () => this.onOverlay ? this.onOverlay() : this.toggleOverlay(),
      a: () => this.actual(),
      l: () => this.link(!this.linked),
      w: () => this.use("window"),
      p: () => this.use("pan"),
      z: () => this.use("zoom"),
      s: () => this.use("scroll"),
    };
    const action = /^[1-6]$/.test(event.key) ? () => this.preset(Number(event.key) - 1) : actions[event.key];
    if (action && pane) {
      event.preventDefault();
      action();
    }
  }

  use(tool) {
    this.tool = tool;
    this.root.dataset.tool = tool;
    this.changed?.();
  }

  // Findings -------------------------------------------------------------------------------------

  target(uid) {
    return uid === null ? null : this.manifest.findings.find((finding) => finding.uid === uid) || null;
  }

  name(uid) {
    return this.names.get(uid) || "";
  }

  go(uid) {
    this.selected = uid;
    const target = this.target(uid);
    if (target) {
      if (!this.panes.some((pane) => pane.shares(target.series))) {
        const planes = Object.keys(this.manifest.series[target.series].planes);
        this.active.show(target.series, planes[0]);
      }
      for (const pane of this.panes) {
        if (pane.shares(target.series) && !pane.about.prior) {
          pane.scroll(locate(pane.info, target.point)[0]);
          pane.centreOn(target.point);
        }
      }
      const first = this.panes.find((pane) => pane.series === target.series) || this.panes.find((pane) => pane.shares(target.series));
      this.activate(first);
      for (const pane of this.panes.filter((each) => this.linked && each.about.prior && each.plane !== "film")) {
        const beside = this.panes.find((each) => !each.about.prior && each.plane === pane.plane);
        if (beside) {
          pane.scroll(this.follow(beside, pane));
        }
      }
    }
    this.schedule();
  }

  renew(manifest) {
    this.manifest.masks = manifest.masks;
    this.manifest.findings = manifest.findings;
    if (this.selected !== null && !this.target(this.selected)) {
      this.selected = null;
    }
    this.schedule();
  }

  get state() {
    return {
      panes: this.panes.map((pane) => pane.state),
      active: this.panes.indexOf(this.active),
      overlay: this.overlay, linked: this.linked, hidden: this.hidden, selected: this.selected,
      tool: this.tool, layout: this.layout,
      ready: !this.waiting && this.panes.every((pane) => pane.drawn === pane.k),
    };
  }
}
