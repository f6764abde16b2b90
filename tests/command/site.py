"""A place for one secret on a server of its own, which a program of a `command:` store talks to."""

import json
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

# A client without a library, as it is started some ten times in a rotation.
PROGRAM = """#!{python} -IS
import json, os, socket, sys

url = os.environ["LUNA_SERVER"].removeprefix("http://")
host, _, port = url.partition("/")[0].partition(":")
verb, request = sys.argv[-1], sys.stdin.read()
method = "GET" if verb in ("read", "preflight") else "PUT"
path = f"/{{verb}}/{{json.loads(request)['name']}}"
try:
    with socket.create_connection((host, int(port))) as server:
        head = f"{{method}} {{path}} HTTP/1.0\\r\\nContent-Length: {{len(request)}}\\r\\n\\r\\n"
        server.sendall((head + request).encode())
        answer = b"".join(iter(lambda: server.recv(65536), b"")).decode()
except OSError:
    sys.exit(5)
if not answer:
    sys.exit(5)
print(answer.partition("\\r\\n\\r\\n")[2])
sys.exit({{"200": 0, "404": 3, "409": 6}}.get(answer.split()[1], 5))
"""


class SecretServer:
    """Keeps secrets with a note and a version each, and compares as it sets."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.kept: dict[str, tuple[str, str, int]] = {}
        self.changing = threading.Lock()

    def answer(self, verb: str, name: str, request: dict[str, str]) -> tuple[int, object]:
        with self.changing:
            secret, note, version = self.kept.get(name, ("", "", 0))
            if verb in ("write", "note", "remove"):
                if request["expected"] != str(version):
                    return 409, {}
                secret, note = request.get("secret", secret), request["note"]
                self.kept[name] = ("" if verb == "remove" else secret, note, version + 1)
                if self.kept[name][:2] == ("", ""):
                    del self.kept[name]
                return 200, {}
            is_absent = verb == "read" and not secret
            return 404 if is_absent else 200, {
                "secret": secret,
                "note": note,
                "version": str(version),
                "capabilities": ["compare-and-set", "notes", "scratch"],
                "scratch": f"{name}_REHEARSAL" in self.kept,
            }


class CommandSite:
    """A place for one secret; a program in `folder` finds the server by its environment."""

    program: ClassVar[str] = "luna-store"

    def __init__(self, server: SecretServer, folder: Path) -> None:
        self.server = server
        self.upstream = server.upstream
        self.name = uuid.uuid4().hex[:8]
        self._program = folder / self.program
        self._program.write_text(PROGRAM.format(python=sys.executable))
        self._program.chmod(0o755)

    @property
    def store_url(self) -> str:
        return f"command:{self._program}#{self.name}"

    def variables(self, server: str) -> dict[str, str]:
        return {"LUNA_SERVER": server}

    def put(self, secret: str) -> None:
        with self.server.changing:
            _, note, version = self.server.kept.get(self.name, ("", "", 0))
            self.server.kept[self.name] = (secret, note, version + 1)

    def secret(self) -> str | None:
        return self.server.kept.get(self.name, ("", "", 0))[0] or None

    def neighbours(self) -> object:
        return {name: kept for name, kept in self.server.kept.items() if name != self.name}


@contextmanager
def running() -> Iterator[SecretServer]:
    store: SecretServer

    class Handler(BaseHTTPRequestHandler):
        def answered(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            _, verb, name = self.path.split("/", 2)
            status, answer = store.answer(verb, name, json.loads(body))
            content = json.dumps(answer).encode()
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = answered  # noqa: N815 - http.server's way to name a method

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store = SecretServer(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield store
    server.shutdown()
    server.server_close()
