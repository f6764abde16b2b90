"""`python -m tests.page.screenshots DIR`: the page as pictures, for the docs and for the eye."""

import sys
from pathlib import Path

from tests.page import fleets
from tests.page.browser import Browser, missing, started
from tests.page.serving import served

UNFOLDED = (1120, 880)
DESKTOP = (1120, 680)
PHONE = (390, 844)
UNFOLD = "document.querySelector(`[data-name='${arguments[0]}'] details`).open = true"


def main(folder: Path) -> None:
    few, many = fleets.of_three(), fleets.of_many()
    with started() as browser:
        for theme in ("light", "dark"):
            with served(few.states, tokens=few.tokens) as page:
                take(browser, page.url, folder / f"page-3-{theme}.png", UNFOLDED, theme, "luna-bot")
            with served(many.states, tokens=many.tokens) as page:
                take(browser, page.url, folder / f"page-200-{theme}.png", DESKTOP, theme)
        with served(few.states, tokens=few.tokens) as page:
            take(browser, page.url, folder / "page-phone.png", PHONE, "light")


def take(
    browser: Browser, url: str, file: Path, size: tuple[int, int], theme: str, *unfolded: str
) -> None:
    browser.look(*size, theme)
    browser.open(url)
    for name in unfolded:
        browser.run(UNFOLD, name)
    file.write_bytes(browser.picture())


if __name__ == "__main__":
    if reason := missing():
        sys.exit(f"{reason}: install chromium and chromium-driver")
    main(Path(sys.argv[1]))
