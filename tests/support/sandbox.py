"""The embedded API as a test double: it goes wrong when told to, and tells what it has seen."""

import json
import re
import secrets
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler
from threading import Event, Lock
from typing import Any, Literal

import rotator.embedded_api
from rotator.embedded_api.api import (
    ApiRequest,
    ApiResponse,
    crash,
    relative_path,
    route_of,
)
from rotator.embedded_api.server import Serve
from rotator.embedded_api.state import ApiState, ServiceTokenRow
from tests.support.mint_bodies import mint_leniently

__all__ = ["BIRTH", "Fault", "Sandbox", "ServiceTokenRow"]

BIRTH: dict[str, object] = {  # the body of an ordinary call
    "date": "1990-01-15",
    "time": "14:30:00",
    "latitude": 40.7128,
    "longitude": -74.006,
    "timezone": "America/New_York",
}
_ADMIN = "admin@example.com"
_DAY = timedelta(days=1)
_USUAL_LIFE = timedelta(days=90)
_ETERNITY = timedelta(days=36500)
_SECRETS = re.compile(rb'"(?:access|refresh|service)_token":"([^"]+)"')
_BUSY = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"
_DOWN = "(psycopg2.OperationalError) connection to server failed: Connection refused"
_FAILED_INSERT = """(psycopg2.errors.DiskFull) could not extend file "base/16384/16402"
[SQL: INSERT INTO tokens (token, token_type) VALUES (%%(token)s, %%(token_type)s)]
[parameters: {'token': '%s', 'token_type': 'service'}]"""
_NO_LINGER = struct.pack("ii", 1, 0)  # closing now resets the connection
_PADDING = b"x" * 65536

Sending = Literal["whole", "dropped", "reset", "truncated", "padded", "dripped"]


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to go wrong; `work` says whether the call still does what it was asked to do."""

    work: bool = True
    answer: ApiResponse | None = None  # instead of the call's own
    error: Literal["plain", "token"] | None = None  # crash, with or without a token in the message
    hold: float = 0.0  # seconds between the request and the work
    wait: float = 0.0  # seconds between the work and the answer
    before: Callable[[], object] = _nothing  # what happens elsewhere before the work
    after: Callable[[], object] = _nothing  # what happens elsewhere between work and answer
    send: Sending = "whole"
    gap: float = 0.0  # seconds between two bytes
    size: int | None = None  # bytes of padding, None for endless

    @classmethod
    def delay(cls, seconds: float) -> "Fault":
        """Do the work at once, and answer after that many seconds."""
        return cls(wait=seconds)

    @classmethod
    def late(cls, seconds: float) -> "Fault":
        """Start the work only after that many seconds, whether or not the client still waits."""
        return cls(hold=seconds)

    @classmethod
    def meanwhile(cls, action: Callable[[], object], moment: Literal["before", "after"]) -> "Fault":
        """Do something else at this very moment of the call, which otherwise goes well.

        `before`: the whole request is received, and nothing done; `after`: all is done, and no
        answer sent. The action may take long, make calls itself, or kill the client; other calls
        are served meanwhile. When it raises, the connection ends without an answer.
        """
        return cls(before=action) if moment == "before" else cls(after=action)

    @classmethod
    def reset_before(cls) -> "Fault":
        """Reset the connection, with nothing done."""
        return cls(work=False, send="reset")

    @classmethod
    def reset_after(cls) -> "Fault":
        """Do the work and reset the connection instead of answering."""
        return cls(send="reset")

    @classmethod
    def server_error(cls, *, with_token: bool = True, work: bool = True) -> "Fault":
        """Answer as for an uncaught exception, whose message holds a live service token."""
        return cls(work=work, error="token" if with_token else "plain")

    @classmethod
    def status(
        cls, code: int, body: bytes = b"", content_type: str | None = None, *, work: bool = False
    ) -> "Fault":
        """Answer with this status and body."""
        return cls(work=work, answer=ApiResponse(code, body, content_type))

    @classmethod
    def refusal(cls, code: int, detail: object = "no", *, work: bool = False) -> "Fault":
        """Answer as the API does when it refuses a call."""
        body = json.dumps({"detail": detail}).encode()
        return cls.status(code, body, "application/json", work=work)

    @classmethod
    def html(cls, status: int = 502, *, work: bool = False) -> "Fault":
        """Answer with a web page, as proxies do."""
        page = f"<html><head><title>{status}</title></head><body>nginx</body></html>"
        return cls.status(status, page.encode(), "text/html", work=work)

    @classmethod
    def empty_body(cls) -> "Fault":
        """Do the work and answer 200 with no body."""
        return cls.status(200, content_type="application/json", work=True)

    @classmethod
    def json_of(cls, value: object, *, work: bool = True) -> "Fault":
        """Do the work and answer 200 with this value, whatever the call promises."""
        return cls.status(200, json.dumps(value).encode(), "application/json", work=work)

    @classmethod
    def too_many(cls, retry_after: int | str | None = 1) -> "Fault":
        """Answer 429; `retry_after` is seconds, an HTTP date, or None for no such header."""
        return cls(work=False, answer=_busy(429, retry_after))

    @classmethod
    def unavailable(cls, retry_after: int | str | None = None) -> "Fault":
        """Answer 503; `retry_after` is seconds, an HTTP date, or None for no such header."""
        return cls(work=False, answer=_busy(503, retry_after))

    @classmethod
    def redirect(cls, location: str, status: int = 307) -> "Fault":
        """Send the client elsewhere."""
        return cls(work=False, answer=ApiResponse(status, b"", None, (("location", location),)))

    @classmethod
    def truncated(cls) -> "Fault":
        """Do the work and close the connection in the middle of the answer's body."""
        return cls(send="truncated")

    @classmethod
    def huge(cls, size: int | None = 64_000_000) -> "Fault":
        """Do the work and answer with JSON of about `size` bytes, endless for None."""
        return cls(send="padded", size=size)

    @classmethod
    def drip(cls, seconds: float) -> "Fault":
        """Do the work and send the answer's body a byte at a time, so many seconds apart."""
        return cls(send="dripped", gap=seconds)

    @classmethod
    def drop_idle(cls) -> "Fault":
        """Answer well, then close the connection without having said so."""
        return cls(send="dropped")


class Faults:
    """A middleware that serves queued faults, first come first served, and records the calls."""

    def __init__(self, state: ApiState) -> None:
        self._state = state
        self._lock = Lock()
        self._queue: list[tuple[Fault, str | None, int | None]] = []
        self.stopping = Event()
        self.database_broken = False
        self.calls: list[tuple[str, str, int | None]] = []
        self._secrets: set[str] = set()

    @property
    def secrets(self) -> set[str]:
        """Every password, access, refresh and service token that ever was."""
        passwords = {user.password for user in self._state.users.values()}
        return passwords | {row.secret for row in self._state.rows} | self._secrets

    def learn(self, secret: str) -> str:
        """Add a secret that no answer holds, and return it."""
        self._secrets.add(secret)
        return secret

    def put(self, fault: Fault, call: str | None, times: int | None) -> None:
        """Queue a fault for that call (None: any), so many times (None: until cleared)."""
        with self._lock:
            self._queue.append((fault, call, times))

    def clear(self) -> None:
        """Forget all that is queued."""
        with self._lock:
            self._queue.clear()

    def take(self, *names: str) -> Fault:
        """Return the next fault for a call that goes by any of these names."""
        with self._lock:
            for place, (fault, call, times) in enumerate(self._queue):
                if call is None or call in names:
                    left = times and times - 1
                    self._queue[place : place + 1] = [(fault, call, left)] if left != 0 else []
                    return fault
        return Fault()

    def serve(self, request: ApiRequest, call_next: Serve) -> tuple[ApiResponse, Fault]:
        """Return the response, and the fault that says how to send it."""
        path = relative_path(request.path)
        names = (f"{request.method} {name}" for name in (path, route_of(request.path)))
        fault = self.take(*names)
        self._wait(fault.hold)
        fault.before()
        with self._state.lock:
            response = self._work(request, call_next) if fault.work else ApiResponse(204)
            self._secrets |= {found.decode() for found in _SECRETS.findall(response.body)}
            response = self._distort(response, fault)
        fault.after()
        self._wait(fault.wait)
        status = None if fault.send == "reset" else response.status
        self.calls.append((request.method, path, status))
        return response, fault

    def __call__(self, request: ApiRequest, call_next: Serve) -> ApiResponse:
        response, fault = self.serve(request, call_next)
        return replace(response, send=partial(self._send, fault))

    def _wait(self, seconds: float) -> None:
        if seconds:
            self.stopping.wait(seconds)

    def _work(self, request: ApiRequest, call_next: Serve) -> ApiResponse:
        route = route_of(request.path)
        if self.database_broken and route != "/health":
            return crash(_DOWN)
        if (request.method, route) == ("POST", "/auth/admin/service-tokens"):
            return mint_leniently(request, call_next)
        return call_next(request)

    def _distort(self, response: ApiResponse, fault: Fault) -> ApiResponse:
        if fault.error == "plain":
            return crash(_DOWN)
        if fault.error == "token":
            now = self._state.clock()
            live = [row for row in self._state.newest_first() if row.is_live(now)]
            return crash(_FAILED_INSERT % (live[0].secret if live else None))
        return fault.answer or response

    def _send(
        self, fault: Fault, handler: BaseHTTPRequestHandler, head: bytes, body: bytes
    ) -> None:
        if fault.send in ("dropped", "truncated", "reset"):
            handler.close_connection = True
        match fault.send:
            case "whole" | "dropped":
                handler.wfile.write(head + body)
            case "truncated":
                handler.wfile.write(head + body[: len(body) // 2])
            case "reset":
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            case "dripped":
                handler.wfile.write(head)
                for byte in body:
                    handler.wfile.write(bytes([byte]))
                    self.stopping.wait(fault.gap)
            case "padded":
                length = b"content-length: %d" % len(body)
                handler.wfile.write(head.replace(length, b"transfer-encoding: chunked"))
                for piece in _padded(body, fault.size):
                    handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                handler.wfile.write(b"0\r\n\r\n")


class Sandbox(rotator.embedded_api.EmbeddedApi):
    """The embedded API on which tests play tricks; see `rotator.embedded_api.EmbeddedApi`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.middleware = self._faults = Faults(self.state)

    def __exit__(self, *error: object) -> None:
        self._faults.stopping.set()
        super().__exit__(*error)

    def add_user(self, email: str, password: str, *, is_admin: bool = False) -> str:
        """Open an account and return its id."""
        with self.state.lock:
            return self.state.add_user(email, password, is_admin=is_admin).id

    def issue(
        self,
        days: float = 3,
        *,
        scope: str = "calculations",
        eternal: bool = False,
        expires_at: datetime | None = None,
        created_at: datetime | None = None,
    ) -> str:
        """Return a service token of the administrator, put into the table as if minted earlier.

        It has `days` left, or lives until `expires_at` (aware UTC). Unless `created_at` says
        otherwise it was minted a day ago, or 90 days before its end if that is longer ago.
        """
        with self.state.lock:
            now = self.clock()
            end = expires_at or now + (_ETERNITY if eternal else timedelta(days=days))
            row = self.state.add_row(
                self.admin.id,
                scope,
                created_at=created_at or min(now - _DAY, end - _USUAL_LIFE),
                expires_at=end,
                exp=None if eternal else end,
            )
            return row.secret

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JWT with these claims and the server's own signature, in no table."""
        return self._faults.learn(self.state.sign(claims))

    def access_token(self, email: str = _ADMIN) -> str:
        """Return an access token of this account, as a login gives it."""
        with self.state.lock:
            return self._faults.learn(self.state.new_access_token(self.state.users[email].id))

    def access_token_for(self, service_token: str) -> str:
        """Return an access token as the exchange of this live service token gives it."""
        with self.state.lock:
            row = self.state.find_live_row(service_token)
            if row is None:
                raise ValueError("the server would refuse to exchange this token")
            access = self.state.new_access_token(row.user_id, type="access", scope=row.scope)
            return self._faults.learn(access)

    @property
    def tokens(self) -> list[ServiceTokenRow]:
        """Every service token ever made, revoked ones included, in the order of making."""
        with self.state.lock:
            return list(self.state.rows)

    def live_tokens(self) -> list[ServiceTokenRow]:
        """Return those that are neither revoked nor expired, in the order of making."""
        now = self.clock()
        return [row for row in self.tokens if row.is_live(now)]

    def revoke(self, token_id: str) -> None:
        """Revoke a service token behind everybody's back; KeyError when there is none."""
        with self.state.lock:
            row = self.state.find_row(token_id)
            if row is None:
                raise KeyError(token_id)
            row.revoked = True

    @property
    def calls(self) -> list[tuple[str, str, int | None]]:
        """Method, path below `/api` and status of every answer given; None for a reset."""
        return list(self._faults.calls)

    @property
    def secrets(self) -> set[str]:
        """Every password, access, refresh and service token that ever was: output has none."""
        with self.state.lock:
            return self._faults.secrets

    def misbehave(self, fault: Fault, call: str | None = None, times: int | None = 1) -> None:
        """Queue a fault for a call such as `POST /auth/login`, so many times.

        `call` is a path or a pattern (`DELETE /auth/admin/service-tokens/{id}`), None for any;
        `times` is None for every time until `behave`.
        """
        self._faults.put(fault, call, times)

    def behave(self) -> None:
        """Forget all queued faults."""
        self._faults.clear()

    def rotate_signing_key(self) -> None:
        """Change the key: every token issued so far is refused everywhere."""
        with self.state.lock:
            self.state.signing_key = secrets.token_bytes(32)

    def break_database(self) -> None:
        """Crash every call but `/health`, until `heal`."""
        self._faults.database_broken = True

    def heal(self) -> None:
        """Mend the database; what it held is still there."""
        self._faults.database_broken = False


def _busy(status: int, retry_after: int | str | None) -> ApiResponse:
    headers = () if retry_after is None else (("retry-after", str(retry_after)),)
    return ApiResponse(status, _BUSY, "text/html", headers)


def _padded(body: bytes, size: int | None) -> Iterator[bytes]:
    """Put `size` bytes of padding in front of the keys of a JSON object."""
    yield b'{"padding":"'
    while size is None or size > 0:
        piece = _PADDING if size is None else _PADDING[:size]
        yield piece
        size = size and size - len(piece)
    rest = body.removeprefix(b"{")
    yield b'",' + rest if rest != body else b'"}'
