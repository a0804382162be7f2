"""Take the README's picture: start the demo, wait until its studies are read, open a film.

python docs/screenshot.py
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

PORT = 8099
OUT = Path(__file__).with_name("screenshot.png")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    """Write docs/screenshot.png."""
    command = [str(Path(sys.executable).with_name("sagittal")), "demo", "--no-browser", "--port", str(PORT)]
    demo = subprocess.Popen(command)
    try:
        address = f"http://127.0.0.1:{PORT}/"
        for _ in range(120):
            try:
                urllib.request.urlopen(address, timeout=2)
                break
            except OSError:
                time.sleep(1)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            page = browser.new_page(viewport={"width": 1600, "height": 950})
            page.goto(address)
            links = page.locator("table a[href^='/studies/']")
            for _ in range(110):
                if links.count() >= 8:
                    break
                page.wait_for_timeout(1000)
                page.reload()
            films = page.locator("tr", has_text="DX").locator("a[href^='/studies/']")
            page.goto(
                address.rstrip("/") + str((films if films.count() else links).first.get_attribute("href"))
            )
            page.wait_for_function("() => window.viewer && viewer.state.ready")
            shown = page.locator(".card:has(.pin:not(.none)) h3")
            if shown.count():
                shown.first.click()
            page.wait_for_timeout(1500)
            page.screenshot(path=str(OUT))
            browser.close()
    finally:
        demo.terminate()
        demo.wait(20)


if __name__ == "__main__":
    main()
