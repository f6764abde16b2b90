"""`python -m bench.readers URL`: fifty readers who load a page at once, again and again.

Prints the time (of the monotonic clock) after each round, and ends with its standard input. Exits 1
when one gets no page.
"""

import os
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

READERS = 50
PAUSE = 0.5  # seconds from the end of a round to the next
_OK = 200


class Round:
    """Loads a page in many threads at the same moment."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname or "", parts.port)
        self._start = threading.Barrier(READERS)
        self._answered: list[bool] = []

    def run(self) -> bool:
        """Tell whether every reader got the page."""
        self._answered.clear()
        threads = [threading.Thread(target=self._read) for _ in range(READERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self._answered) == READERS

    def _read(self) -> None:
        connection = HTTPConnection(*self._place, timeout=30)
        self._start.wait()
        connection.request("GET", "/", headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        if answer.read() and answer.status == _OK:
            self._answered.append(True)
        connection.close()


def main() -> int:
    """Go round until nobody wants it any more."""
    os.nice(19)  # readers are elsewhere, and do not take the rotation's processor from it
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    readers = Round(sys.argv[1])
    while not ended.is_set():
        if not readers.run():
            return 1
        print(f"{time.monotonic():.3f}", flush=True)
        ended.wait(PAUSE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
