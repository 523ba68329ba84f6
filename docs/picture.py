"""Takes `docs/report.png`: the first screen of a report, in headless Chromium.

python docs/picture.py out/demo/class/report.html
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH = 1400
# A software renderer for WebGL, so that the sphere is drawn without a graphics card as well.
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def main(report: Path, out: Path) -> None:
    """Everything of `report` down to the end of the sphere."""
    executable = shutil.which("chromium")
    if executable is None:
        raise SystemExit("no `chromium` on the PATH: `make setup-test` installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000})
        page.goto(report.resolve().as_uri())
        page.wait_for_selector("#sphere canvas")
        page.wait_for_timeout(3000)  # until the first frame of the sphere is drawn
        box = page.locator("#sphere").bounding_box()
        assert box is not None
        height = box["y"] + box["height"]
        page.screenshot(
            path=out,
            full_page=True,
            clip={"x": 0, "y": 0, "width": WIDTH, "height": height},
        )
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("report.png"))
