"""A process around apprise, which logs its URLs, prints, and waits as long as a server likes.

Here its output goes nowhere, and the caller can end it. It is started as a file, so that it may
import nothing of the rotator.

Reads `{"urls": [...], "title": "...", "body": "...", "kind": "..."}` from stdin. Writes a line for
each URL as soon as it is known: its number, from 0, and `sent`, `refused`, or `unknown` to apprise.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial


def main() -> None:
    """Send the notice to all URLs at the same time."""
    order = json.load(sys.stdin)
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    from apprise import Apprise, NotifyBase  # noqa: PLC0415 - it may complain when it is loaded

    def tell(number: int, answer: str) -> None:
        os.write(answers, f"{number} {answer}\n".encode())

    def send(number: int, service: NotifyBase) -> None:
        sender = Apprise()
        sender.add(service)
        answer = "refused"
        try:
            if sender.notify(order["body"], order["title"], order["kind"]):
                answer = "sent"
        finally:
            tell(number, answer)

    with ThreadPoolExecutor(len(order["urls"])) as pool:
        for number, url in enumerate(order["urls"]):
            service = Apprise.instantiate(url)  # not `add`, which splits a text at its commas
            if service:
                pool.submit(partial(send, number, service))
            else:
                tell(number, "unknown")


if __name__ == "__main__":
    main()
