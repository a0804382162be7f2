"""The room in a real browser: images to the pixel, clicks, and a report that follows them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sagittal.serve.pixels import cut, hang, window_values
from sagittal.serve.server import Running, serving
from sagittal.serve.store import READ
from sagittal.settings import ServeSettings
from sagittal.study.dicom.image import write_series

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--force-device-scale-factor=1",
]
NODULE, AIR = "2.25.1", "2.25.2"
PIXELS = """() => {
  const p = viewer.panes[%d];
  const f = p.frame();
  const box = [f.left, f.top, p.info.columns * f.sx, p.info.rows * f.sy];
  const data = p.base.getContext('2d').getImageData(...box).data;
  return { box, grey: Array.from(data).filter((_, i) => i %% 4 === 0) };
}"""
DRAWN = """() => {
  const o = viewer.panes[0].over;
  const d = o.getContext('2d').getImageData(0, 0, o.width, o.height).data;
  let n = 0;
  for (let i = 3; i < d.length; i += 4) n += d[i] > 200;
  return n;
}"""

LIT = """() => {
  const c = viewer.panes[0].base;
  return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 < 3 && v > 0);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not (shutil.which(CHROMIUM) or Path(CHROMIUM).exists()):
        pytest.skip(f"no browser at {CHROMIUM}: install Debian's chromium, or set CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def running(tmp_path: Path, kit: SimpleNamespace) -> Iterator[Running]:
    with serving(ServeSettings(tmp_path / "room", port=0, teaching=True), kit.READER) as room:
        yield room


def put(running: Running, study: Any, prior: Any = None) -> str:
    store = running.room.store
    name, folder = store.new_folder()
    for one, place in ((study, "now"), (prior, "before")):
        if one is not None:
            write_series(one, one.series[0], folder / place)
    store.add(name, folder / "now", folder / "before" if prior is not None else None)
    running.room.worker.wake()
    return name


class Page:
    """A page with what went wrong on it, and waiting that needs no eval (the policy forbids it)."""

    def __init__(self, browser: Any, running: Running) -> None:
        self.tab = browser.new_page(viewport={"width": 1500, "height": 900})
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", lambda m: self.wrong.append(m.text) if m.type == "error" else None)
        self.tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.wrong.append("a dialog opened"), dialog.dismiss()))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.url = running.url

    def until(self, expression: str, seconds: float = 20.0) -> Any:
        for _ in range(int(seconds / 0.05)):
            value = self.tab.evaluate(expression)
            if value:
                return value
            self.tab.wait_for_timeout(50)
        raise AssertionError(f"never true: {expression}; wrong: {self.wrong}")

    def open(self, study: str) -> None:
        self.tab.goto(f"{self.url}/studies/{study}")
        self.ready()

    def ready(self) -> dict[str, Any]:
        self.until("() => window.viewer && viewer.state.ready")
        # Two frames later nothing is left to draw.
        self.tab.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        self.until("() => viewer.state.ready")
        state: dict[str, Any] = self.tab.evaluate("() => viewer.state")
        return state

    def key(self, name: str) -> dict[str, Any]:
        self.tab.keyboard.press(name)
        return self.ready()

    def grey(self, pane: int) -> np.ndarray[Any, Any]:
        """What the pane's canvas shows where its picture lies, one value a screen pixel."""
        seen = self.tab.evaluate(PIXELS % pane)
        _, _, width, height = (round(v) for v in seen["box"])
        return np.array(seen["grey"], np.uint8).reshape(height, width)

    def panel(self) -> str:
        text: str = self.tab.inner_text("#panel")
        return text

    def act(self, selector: str, version: int) -> str:
        """Click, and wait for the panel of the next version."""
        self.tab.click(selector)
        self.until(f"() => document.querySelector('.panel-head').dataset.version === '{version}'")
        self.tab.wait_for_timeout(100)
        return self.panel()


@pytest.fixture
def page(browser: Any, running: Running) -> Iterator[Page]:
    made = Page(browser, running)
    yield made
    made.tab.close()
    assert made.wrong == []
    assert [url for url in made.asked if not url.startswith((running.url, "data:", "blob:"))] == []


def square(kit: SimpleNamespace) -> Any:
    """The test CT with square pixels, so that at 1:1 a screen pixel is a pixel."""
    from sagittal.study.geometry import Geometry
    from sagittal.study.volume import Volume

    study = kit.ct()
    series = study.series[0]
    geometry = Geometry.from_spacing((5.0, 2.0, 2.0), (-20.0, -30.0, -100.0))
    geometry = Geometry(geometry.affine, "1.2.826.0.1.5")
    voxels = series.volume.voxels
    made = replace(series, geometry=geometry, decode=lambda: Volume(voxels, geometry, "HU"))
    return study.with_(series=(made,))


def test_pixels_window_and_keys(page: Page, running: Running, kit: SimpleNamespace) -> None:
    study = square(kit)
    page.tab.goto(running.url)
    name = put(running, study)
    page.until("() => document.querySelector('#rows a') !== null")
    page.tab.click("#rows a")
    state = page.ready()
    assert page.tab.url.endswith(name)
    view = hang(study.series[0].volume)
    panes = state["panes"]
    assert [(p["plane"], p["width"], p["level"]) for p in panes] == [
        ("axial", 1500, -600),
        ("axial", 400, 40),
        ("coronal", 1500, -600),
        ("coronal", 400, 40),
    ]

    def compare(pane: int, k: int, width: float, level: float, *, inverted: bool = False) -> None:
        values = window_values(cut(view.voxels, "axial", k).astype(float), width, level)
        assert np.array_equal(page.grey(pane), 255 - values if inverted else values)

    assert page.key("a")["panes"][0]["actual"]
    compare(0, 5, 1500, -600)
    assert page.key("ArrowDown")["panes"][0]["k"] == 4
    compare(0, 4, 1500, -600)
    # Panes of one series scroll together, and the window of one is not the other's.
    assert page.key("ArrowUp")["panes"][1]["k"] == 5
    state = page.key("3")
    assert (state["panes"][0]["width"], state["panes"][1]["width"]) == (2000, 400)
    compare(0, 5, 2000, 500)
    page.key("2")
    compare(0, 5, 400, 40)
    page.key("i")
    compare(0, 5, 400, 40, inverted=True)
    state = page.key("Space")
    assert (state["panes"][0]["width"], state["panes"][0]["inverted"], state["panes"][0]["zoom"]) == (
        1500,
        False,
        1,
    )
    # The wheel scrolls, a drag changes the window, the right button zooms.
    box = page.tab.locator(".pane").first.bounding_box()
    centre = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.tab.mouse.move(*centre)
    page.tab.mouse.wheel(0, 120)
    assert page.ready()["panes"][0]["k"] == 4
    page.tab.mouse.down()
    page.tab.mouse.move(centre[0] + 40, centre[1] + 20)
    page.tab.mouse.up()
    moved = page.ready()["panes"][0]
    assert moved["width"] > 1500
    assert moved["level"] > -600
    page.tab.mouse.down(button="right")
    page.tab.mouse.move(centre[0] + 40, centre[1] - 60)
    page.tab.mouse.up(button="right")
    assert page.ready()["panes"][0]["zoom"] > 1
    # Labels come from the geometry, and the scale bar from its millimetres.
    words = [page.tab.inner_text(f".pane .word.{side}") for side in ("top", "bottom", "left", "right")]
    assert words == ["A", "P", "R", "L"]
    assert page.tab.inner_text(".pane .bar-word").endswith("mm")


def test_review_from_worklist_to_signature(page: Page, running: Running, kit: SimpleNamespace) -> None:
    from datetime import date

    name = put(running, kit.ct(name=kit.HOSTILE), kit.ct("1.2.826.0.1.7", date(2025, 1, 2), shift=5))
    page.tab.goto(running.url)
    page.until("() => document.querySelector('#rows a') !== null")
    page.tab.click("#rows a")
    state = page.ready()
    assert [p["prior"] for p in state["panes"]] == [False, True, False, True]
    assert "PRIOR 2025-01-02" in page.tab.inner_text(".pane.prior .title")
    # Linked scrolling: equal millimetres in both studies.
    before = [p["k"] for p in state["panes"]]
    after = [p["k"] for p in page.key("ArrowUp")["panes"]]
    assert [a - b for a, b in zip(after, before, strict=True)] == [1, 1, 0, 0]
    page.key("l")
    assert page.key("ArrowUp")["panes"][1]["k"] == after[1]
    page.key("l")

    # A click on a finding takes every pane of the study there, and outlines it.
    page.tab.click(f".card[data-finding='{NODULE}'] h3")
    state = page.ready()
    assert state["selected"] == NODULE
    assert (state["panes"][0]["k"], state["panes"][2]["k"]) == (6, 10)
    outlined = page.tab.evaluate(DRAWN)
    assert outlined > 50
    state = page.key("o")
    assert not state["overlay"]
    assert page.tab.evaluate(DRAWN) == 0
    page.key("o")
    assert page.tab.evaluate(DRAWN) == outlined
    # The sentence lights up with its finding.
    assert page.tab.get_attribute(".report .sentence.chosen", "data-finding") == NODULE
    page.tab.hover(f".report [data-finding='{AIR}']")
    assert page.tab.get_attribute(".card.lit", "data-finding") == AIR

    # Own look first.
    page.tab.click("#ai")
    assert not page.tab.is_visible(".card")
    assert not page.tab.is_visible(".report")
    assert page.ready()["hidden"]
    page.tab.click("#ai")
    assert page.tab.is_visible(".report")

    page.tab.fill("#reader", "Dr Browser")
    card = f".card[data-finding='{NODULE}']"
    assert "accepted" in page.act(f"{card} .yes", 2)
    page.tab.click(f"{card} summary")
    page.tab.select_option(f"{card} select[name=laterality]", "right")
    page.tab.fill(f"{card} input[name=size]", "15 x 8")
    assert "Right nodule 15 mm." in page.act(f"{card} form button", 3)
    assert page.ready()["selected"] == NODULE
    text = page.act(f".card[data-finding='{AIR}'] .no", 4)
    assert "Right pneumothorax.\n" not in text.split("REPORT")[1]
    page.tab.fill(".add input", "<b>nothing</b> of the vocabulary")
    page.tab.click(".add button")
    page.until("() => !document.querySelector('#notice').hidden")
    assert "no finding could be read" in page.tab.inner_text("#notice")
    page.wrong.clear()  # the browser itself reports the answer 422
    page.tab.fill(".add input", "Left pleural effusion.")
    assert "Left pleural effusion" in page.act(".add button", 5)
    text = page.act(".sign button", 6)
    assert "Signed by Dr Browser" in text
    assert page.tab.locator(".acts").count() == 0
    with page.tab.expect_download() as waiting:
        page.tab.click(".exports a[href$='report.txt']")
    saved = Path(waiting.value.path()).read_text("utf-8")
    assert "Right nodule 15 mm." in saved
    assert "signed" in waiting.value.suggested_filename
    row = running.room.store.row(name)
    assert (row.state, row.status, row.version) == (READ, "signed", 6)
    actions = [event.action for event in running.room.store.events(name)]
    assert [a for a in actions if a in ("ai hidden", "ai shown", "overlay hidden", "overlay shown")] == [
        "overlay hidden",
        "overlay shown",
        "ai hidden",
        "ai shown",
    ]


def test_the_keyboard_alone_reviews_and_keeps_its_place(
    page: Page, running: Running, kit: SimpleNamespace
) -> None:
    name = put(running, kit.ct())
    page.tab.goto(running.url)
    page.until("() => document.querySelector('#rows a') !== null")
    # The list is asked for again every two seconds; whoever stands on a link stays there.
    page.tab.focus("#rows a")
    page.tab.wait_for_timeout(2600)
    assert page.tab.evaluate("() => document.activeElement.id") == f"row-{name}"
    with page.tab.expect_navigation():
        page.tab.keyboard.press("Enter")
    page.ready()
    version = "() => document.querySelector('.panel-head').dataset.version === '%d'"
    page.tab.focus(f".card[data-finding='{NODULE}']")
    page.tab.keyboard.press("Space")
    assert page.ready()["selected"] == NODULE
    page.tab.evaluate("() => viewer.preset(2)")
    page.tab.focus(f".card[data-finding='{NODULE}'] .yes")
    page.tab.keyboard.press("Space")
    page.until(version % 2)
    # Space pressed the button and reset nothing, and the focus is where it was.
    assert page.ready()["panes"][0]["width"] == 2000
    assert page.tab.evaluate("() => document.activeElement.id") == f"accept-{NODULE}"
    # the list at the side is fetched by itself, and may come a moment later
    page.until("() => document.querySelectorAll('.side .here .dot.in-review').length === 1")
    page.tab.focus(f".card[data-finding='{NODULE}'] .no")
    page.tab.keyboard.press("Enter")
    page.until(version % 3)
    assert page.tab.evaluate("() => document.activeElement.dataset.finding") == AIR
    # With the mouse the keys go back to the images.
    page.act(f".card[data-finding='{AIR}'] .yes", 4)
    assert page.key("Space")["panes"][0]["width"] == 1500
    assert running.room.store.row(name).version == 4


def test_an_own_look_never_sees_the_draft(page: Page, running: Running, kit: SimpleNamespace) -> None:
    name = put(running, kit.ct())
    page.tab.goto(running.url)
    page.until("() => document.querySelector('#rows a') !== null")
    page.open(name)
    page.tab.click("#ai")
    # The images never come; the draft stays hidden all the same, and so does the number of findings.
    page.tab.route("**/manifest.json", lambda route: None)
    page.tab.goto(f"{running.url}/studies/{name}")
    for hidden in (".card", ".report", ".panel-head .quiet"):
        assert not page.tab.is_visible(hidden), hidden
    page.tab.click("#ai")
    assert page.tab.is_visible(".card")


def test_a_slice_that_does_not_come_is_not_shown_as_another(
    page: Page, running: Running, kit: SimpleNamespace
) -> None:
    name = put(running, kit.ct())
    page.tab.goto(running.url)
    page.until("() => document.querySelector('#rows a') !== null")
    page.tab.route("**/axial/9", lambda route: route.abort())
    page.open(name)
    page.tab.evaluate("() => viewer.scroll(viewer.panes[0], 9)")
    page.until("() => document.querySelector('.word.warning').textContent.includes('slice 10')")
    assert not page.tab.evaluate(LIT)
    page.wrong.clear()  # the browser itself reports the request that failed


def test_a_fine_screen_shows_one_sample_on_one_of_its_pixels(
    browser: Any, running: Running, kit: SimpleNamespace
) -> None:
    page = Page(browser, running)
    page.tab.close()
    page.tab = browser.new_page(viewport={"width": 1500, "height": 900}, device_scale_factor=2)
    study = square(kit)
    page.tab.goto(running.url)
    name = put(running, study)
    page.until("() => document.querySelector('#rows a') !== null")
    page.open(name)
    page.key("a")
    values = window_values(cut(hang(study.series[0].volume).voxels, "axial", 5).astype(float), 1500, -600)
    assert np.array_equal(page.grey(0), values)
    page.tab.close()


def test_the_demo_with_the_bundled_model(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample as people meet it first; ``SAGITTAL_SCREENSHOT=docs/screenshot.png`` renews the README's."""
    from sagittal.serve import samples
    from sagittal.serve.samples import Sample, fill
    from sagittal.serve.worker import reader

    monkeypatch.setattr(samples, "SAMPLES", (Sample("chest-xray", "pleural_effusion", followup=True),))
    settings = ServeSettings(tmp_path / "room", port=0, teaching=True)
    with serving(settings, reader(settings)) as running:
        fill(running.room.store, arrived=running.room.worker.wake)
        page = Page(browser, running)
        page.tab.set_viewport_size({"width": 1600, "height": 940})
        page.tab.goto(running.url)
        page.until(
            "() => document.querySelectorAll('#rows .state.draft, #rows .state.refused').length === 2", 120
        )
        page.tab.click("#rows a")
        page.ready()
        cards = page.tab.locator(".card:not(.gone)")
        assert cards.count() > 0
        shown = page.tab.locator(".card:has(.pin:not(.none)) h3")
        (shown if shown.count() else cards).first.click()
        page.ready()
        picture = Path(os.environ.get("SAGITTAL_SCREENSHOT", tmp_path / "screenshot.png"))
        page.tab.mouse.move(5, 500)
        page.tab.screenshot(path=picture)
        from PIL import Image

        seen = np.asarray(Image.open(picture).convert("L"))
        assert seen.shape == (940, 1600)
        # The film fills a good part of the page; an empty canvas would leave it almost black.
        assert (seen[100:, 180:1190] > 60).mean() > 0.2
        page.tab.close()
        assert page.wrong == []
