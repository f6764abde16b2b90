"""A process around apprise, which logs its URLs, prints, and waits as long as a server likes.

Here its output goes nowhere, and the caller can end it. It is started as a file, so that it may
import nothing of the rotator.

Reads `{"urls": [...], "title": "...", "body": "...", "kind": "...", "facts": {...}}` from stdin.
Writes a line for each URL as soon as it is known: its number, from 0, and `sent`, `refused`, or
`unknown` to apprise. Without a title and so on nothing is sent; the answers are `known`, `silent`
or `unknown` then.
"""

import json
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apprise import NotifyBase

_CONNECT = 5.0  # seconds
# Of these the URL names the server itself; others have a key or a name in the place of the host.
_SERVERS = ("apprise", "form", "gotify", "json", "mmost", "nctalk", "ncloud", "xml")


def main() -> None:
    """Send the notice to all URLs at the same time, or look whether that could work."""
    order = json.load(sys.stdin)
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    from apprise import Apprise  # noqa: PLC0415 - it may complain when it is loaded

    def tell(number: int, answer: str) -> None:
        os.write(answers, f"{number} {answer}\n".encode())

    def look(number: int, service: "NotifyBase") -> None:
        answer = "silent"
        try:
            if _is_answered(service):
                answer = "known"
        finally:
            tell(number, answer)

    def send(number: int, service: "NotifyBase") -> None:
        _prepare(service, order["facts"])
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
                pool.submit(partial(send if "body" in order else look, number, service))
            else:
                tell(number, "unknown")


def _prepare(service: "NotifyBase", facts: dict[str, Any]) -> None:
    """Give a webhook the facts as fields of its JSON; those of its URL (`?:name=value`) win.

    To others a long text goes in parts.
    """
    if getattr(service, "protocol", None) == "json":
        extras: dict[str, Any] = service.payload_extras  # type: ignore[attr-defined] # of NotifyJSON
        extras.update({name: fact for name, fact in facts.items() if name not in extras})
    elif service.overflow_mode == "upstream":  # the default: a service refuses what is too long
        service.overflow_mode = "split"  # type: ignore[assignment] # its enum is of text


def _is_answered(service: "NotifyBase") -> bool:
    """Tell whether the server takes connections; True where it is not known which one it is."""
    schema = str(getattr(service, "schema", "") or "")
    is_secure = bool(getattr(service, "secure", False))
    host, port = getattr(service, "host", None), getattr(service, "port", None)
    if schema in ("mailto", "mailtos"):
        host = getattr(service, "smtp_host", None) or host
        port = port or (587 if is_secure else 25)
    elif schema.removesuffix("s") not in _SERVERS:
        return True
    if not host or "HTTPS_PROXY" in map(str.upper, os.environ):
        return True
    try:
        socket.create_connection((host, port or (443 if is_secure else 80)), _CONNECT).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
