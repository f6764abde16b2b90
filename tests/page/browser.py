"""A real browser without a window, by way of its WebDriver (https://www.w3.org/TR/webdriver2/).

Debian's packages `chromium` and `chromium-driver` bring both.
"""

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.support.waiting import PATIENCE

NEEDED = ("chromium", "chromedriver")
_FLAGS = (
    "--headless",
    "--no-sandbox",  # which refuses to run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
_STARTED = "started successfully on port "


def missing() -> str | None:
    """Return why there is no browser, if so."""
    lacking = [program for program in NEEDED if shutil.which(program) is None]
    return f"no {' and no '.join(lacking)} on this machine" if lacking else None


class Browser:
    """One window; `run` and `wait` take JavaScript."""

    def __init__(self, session: str) -> None:
        self._session = session

    def call(self, path: str, **body: object) -> Any:  # noqa: ANN401 - whatever the call returns
        answer = requests.post(f"{self._session}/{path}", json=body, timeout=PATIENCE)
        value = answer.json()["value"]
        if not answer.ok:
            raise AssertionError(f"{path}: {value['error']}: {value['message'][:500]}")
        return value

    def devtools(self, command: str, **parameters: object) -> Any:  # noqa: ANN401 - (the same)
        """Call https://chromedevtools.github.io/devtools-protocol/."""
        return self.call("goog/cdp/execute", cmd=command, params=parameters)

    def open(self, url: str) -> None:
        """Load a page, and forget what was logged before."""
        self.call("url", url="about:blank")
        self.log("browser")
        self.log("performance")
        self.call("url", url=url)

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever it returns
        return self.call("execute/sync", script=script, args=arguments)

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        script = (
            "const done = arguments[0];"
            f"(function ask() {{ ({condition}) ? done() : setTimeout(ask, 20); }})();"
        )
        self.call("execute/async", script=script, args=[])

    def look(self, width: int, height: int, theme: str) -> None:
        """Take the size of a screen, in CSS pixels, and a colour scheme."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": theme}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def hurry(self, times: int) -> None:
        """Let the timers of every page that is opened from now on run so much faster."""
        script = (
            "const wait = window.setTimeout;"
            f"window.setTimeout = (then, pause) => wait(then, pause / {times});"
        )
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source=script)

    def picture(self) -> bytes:
        """Return what is seen, as a PNG."""
        return base64.b64decode(self.devtools("Page.captureScreenshot", format="png")["data"])

    def complaints(self) -> list[str]:
        """Return what stands on the console."""
        return [entry["message"] for entry in self.log("browser")]

    def requested(self) -> set[str]:
        """Return the URLs that were asked for since the page was opened."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return {params["request"]["url"] for params in sent}

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Return what was logged since the last call."""
        entries: list[dict[str, Any]] = self.call("se/log", type=kind)
        return entries


@contextmanager
def started() -> Iterator[Browser]:
    """Yield a browser with an empty profile."""
    with (
        tempfile.TemporaryDirectory(prefix="rotator-browser-") as profile,
        subprocess.Popen(
            ["chromedriver", "--port=0"],  # noqa: S607 - wherever it is
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as driver,
    ):
        try:
            line = next(line for line in driver.stdout or () if _STARTED in line)
            url = f"http://127.0.0.1:{line.partition(_STARTED)[2].strip().rstrip('.')}/session"
            wanted = {
                "goog:chromeOptions": {"args": [*_FLAGS, f"--user-data-dir={profile}"]},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            answer = requests.post(
                url, json={"capabilities": {"alwaysMatch": wanted}}, timeout=PATIENCE
            ).json()["value"]
            session = f"{url}/{answer['sessionId']}"
            try:
                yield Browser(session)
            finally:
                requests.delete(session, timeout=PATIENCE)
        finally:
            driver.terminate()
