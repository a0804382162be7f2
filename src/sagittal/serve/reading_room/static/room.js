// The page around the viewer: findings and report linked, reviews posted, the draft shown or hidden.

import { Viewer } from "./viewer.js";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const token = $("meta[name=csrf]").content;
const stage = $("#stage");
const base = stage.dataset.study;

function notice(text) {
  const line = $("#notice");
  line.textContent = text;
  line.hidden = !text;
}

function inPanel(event) {
  return panel.contains(event.detail.elt);
}

async function log(action, detail = "") {
  const body = new URLSearchParams({ action, detail, by: $("#reader").value });
  try {
    await fetch(`${base}/events`, { method: "POST", body, headers: { "x-csrf-token": token } });
  } catch {
    notice("the reading room does not answer");
  }
}

function light(uid, on) {
  for (const element of $$(`[data-finding~="${CSS.escape(uid)}"]`)) {
    element.classList.toggle("lit", on);
  }
}

function select(uid) {
  for (const element of $$("[data-finding]")) {
    element.classList.toggle("chosen", element.dataset.finding.split(" ").includes(uid));
  }
  window.viewer?.go(uid);
}

// The other end of a click: the sentence of a finding, or the finding of a sentence.
function reveal(clicked) {
  const other = clicked.matches(".card") ? ".sentence.chosen" : ".card.chosen";
  $(other, panel)?.scrollIntoView({ block: "nearest" });
}

function names() {
  window.viewer.names = new Map($$(".card").map((card) => [card.dataset.finding, card.dataset.name]));
}

const panel = $("#panel");
for (const [event, on] of [["mouseover", true], ["mouseout", false]]) {
  panel.addEventListener(event, (moved) => {
    const element = moved.target.closest("[data-finding]");
    element?.dataset.finding.split(" ").forEach((uid) => light(uid, on));
  });
}
panel.addEventListener("click", (event) => {
  const element = event.target.closest("[data-finding]");
  if (element && !event.target.closest("button, a, form, summary, input, select")) {
    select(element.dataset.finding.split(" ")[0]);
    reveal(element);
  }
});
panel.addEventListener("keydown", (event) => {
  if ((event.key === "Enter" || event.key === " ") && event.target.matches("[data-finding]")) {
    event.preventDefault();
    select(event.target.dataset.finding.split(" ")[0]);
    reveal(event.target);
  }
});

// The draft shown or hidden: own look first. look.js has set the class before the first paint.
const page = document.documentElement;

function hide(hidden) {
  page.classList.toggle("own-look", hidden);
  $("#ai").setAttribute("aria-pressed", String(!hidden));
  if (window.viewer) {
    window.viewer.hidden = hidden;
    window.viewer.schedule();
  }
  log(hidden ? "ai hidden" : "ai shown");
}

function overlay() {
  window.viewer.toggleOverlay();
  log(window.viewer.overlay ? "overlay shown" : "overlay hidden");
}

function toolbar() {
  const { viewer } = window;
  const presets = $("#presets");
  const pane = viewer.active;
  if (presets.dataset.series !== pane.series) {
    presets.dataset.series = pane.series;
    presets.replaceChildren(...pane.about.presets.map((preset, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.preset = String(number);
      button.textContent = `${number + 1} ${preset.name}`;
      button.title = `window ${Math.round(preset.width)}, level ${Math.round(preset.level)}`;
      button.addEventListener("click", () => viewer.preset(number));
      return button;
    }));
  }
  $$("#presets button").forEach((button, number) => {
    const preset = pane.about.presets[number];
    button.classList.toggle("on", preset.width === pane.width && preset.level === pane.level);
  });
  for (const button of $$("[data-tool-name]")) {
    button.classList.toggle("on", button.dataset.toolName === viewer.tool);
  }
  $("#overlay").classList.toggle("on", viewer.overlay);
  $("#link").classList.toggle("on", viewer.linked);
  $("#invert").classList.toggle("on", pane.inverted);
}

async function start() {
  const response = await fetch(`${base}/manifest.json`);
  if (!response.ok) {
    notice(await response.text());
    return;
  }
  const manifest = await response.json();
  if (!Object.keys(manifest.series).length) {
    $("#empty").hidden = false;
    return;
  }
  const viewer = new Viewer(stage, base, manifest);
  window.viewer = viewer;
  viewer.changed = toolbar;
  viewer.onOverlay = overlay;
  viewer.hidden = page.classList.contains("own-look");
  viewer.use("window");
  names();
  for (const button of $$("[data-tool-name]")) {
    button.addEventListener("click", () => viewer.use(button.dataset.toolName));
  }
  for (const [id, action] of Object.entries({
    "#overlay": overlay, "#link": () => viewer.link(!viewer.linked), "#invert": () => viewer.invert(),
    "#reset": () => viewer.reset(), "#actual": () => viewer.actual(),
  })) {
    $(id).addEventListener("click", action);
  }
  $("#layout").addEventListener("change", (event) => {
    viewer.hang(event.target.value);
    // The keys belong to the images again.
    event.target.blur();
  });
  document.addEventListener("visibilitychange", () => viewer.schedule());
}

// Reviews go through htmx; what comes back replaces the panel, an error is told.
document.body.addEventListener("htmx:configRequest", (event) => {
  if (!inPanel(event)) {
    return;
  }
  event.detail.headers["X-CSRF-Token"] = token;
  event.detail.parameters.set("by", $("#reader").value);
  event.detail.parameters.set("version", $(".panel-head").dataset.version);
  if (window.viewer) {
    event.detail.parameters.set("key", window.viewer.active.series);
    event.detail.parameters.set("k", window.viewer.active.plane === "axial" ? String(window.viewer.active.k) : "");
  }
});
document.body.addEventListener("htmx:beforeRequest", (event) => inPanel(event) && notice(""));
document.body.addEventListener("htmx:responseError", (event) => notice(event.detail.xhr.responseText.trim()));
document.body.addEventListener("htmx:sendError", () => notice("the reading room does not answer"));

// A new panel stands where the old one stood, and the keyboard stays in it.
const kept = { scroll: [], inside: false, names: "" };
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (!event.detail.shouldSwap) {
    return;
  }
  if (event.detail.target.id === "names") {
    // Nothing new at the side: leave the links, and the focus on them, alone.
    event.detail.shouldSwap = event.detail.serverResponse !== kept.names;
    kept.names = event.detail.serverResponse;
  } else if (event.detail.target === panel) {
    kept.scroll = [".findings", ".report"].map((name) => $(name, panel).scrollTop);
    kept.inside = panel.contains(document.activeElement);
  }
});
document.body.addEventListener("htmx:afterSwap", async (event) => {
  if (event.detail.target !== panel) {
    return;
  }
  [".findings", ".report"].forEach((name, i) => { $(name, panel).scrollTop = kept.scroll[i]; });
  if (kept.inside && !panel.contains(document.activeElement)) {
    ($(".card:not(.accepted, .edited, .added, .gone)", panel) || $(".sign button", panel) || panel).focus({ preventScroll: true });
  }
  document.body.dispatchEvent(new Event("reviewed"));
  if (!window.viewer) {
    return;
  }
  names();
  const response = await fetch(`${base}/manifest.json`);
  window.viewer.renew(await response.json());
  if (window.viewer.selected !== null) {
    select(window.viewer.selected);
  }
});

const reader = $("#reader");
reader.value = localStorage.getItem("reader") || reader.value;
reader.addEventListener("change", () => localStorage.setItem("reader", reader.value));
$("#ai").setAttribute("aria-pressed", String(!page.classList.contains("own-look")));
$("#ai").addEventListener("click", () => {
  const hidden = !page.classList.contains("own-look");
  localStorage.setItem("own-look", hidden ? "yes" : "no");
  hide(hidden);
});
// A button pressed with the mouse gives the keys back to the images; one pressed with a key keeps them.
document.addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur());
log("opened", page.classList.contains("own-look") ? "ai hidden" : "ai shown");
start();
