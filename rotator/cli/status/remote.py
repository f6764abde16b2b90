"""Asks a daemon for what it knows: `GET /api/v1/status`."""

from http import HTTPStatus
from typing import Any

from rotator.cli.status.chain import StatusView
from rotator.cli.status.parse import parse_fleet
from rotator.errors import ConfigError, DaemonError, quote_value, suggest
from rotator.http.client import BoundedSession, Limits, read_json
from rotator.http.failures import FailureKind, explain_failure

PATH = "/api/v1/status"
_LARGEST = 64 << 20  # bytes: a token with a long history takes 12 KB
_LIMITS = Limits(read=10.0, total=30.0, largest=_LARGEST)
_FAILURES = {
    FailureKind.REFUSED: "nothing listens there: start rotator daemon with --listen",
    FailureKind.UNKNOWN_HOST: "there is no host of this name",
    FailureKind.TIMEOUT: "it does not answer in time",
    FailureKind.CERTIFICATE: "its certificate is not trusted",
    FailureKind.NO_TLS: "it does not speak TLS: begin its URL with http://",
    FailureKind.WANTS_TLS: "it speaks TLS: begin its URL with https://",
}
_BROKEN = "the connection broke"
_STRANGER = "what answers there is no rotator daemon of this version"
_STATUSES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "a proxy in front of it wants a login: ask it from inside",
    HTTPStatus.FORBIDDEN: "a proxy in front of it does not let us in: ask it from inside",
    HTTPStatus.NOT_FOUND: _STRANGER,
    HTTPStatus.MISDIRECTED_REQUEST: "it is for localhost only: use such an address, or a tunnel",
}


class DaemonReader:
    """Gets what the daemon at `url` knows of its tokens, or of the one called `name`."""

    def __init__(self, url: str, name: str | None) -> None:
        self._url = url
        self._name = name
        self._session = BoundedSession(_LIMITS)

    def read(self) -> StatusView:
        """Raise `DaemonError` if it does not say, `ConfigError` if it has no such token."""
        shown = self._ask()
        try:
            fleet = parse_fleet(shown)
        except ValueError:
            raise DaemonError(f"the daemon at {self._url}: {_STRANGER}") from None
        if self._name is not None:
            known = [row.name for row in fleet.rows]
            if self._name not in known:
                expected = suggest(self._name, known)
                raise ConfigError(
                    f"the daemon has no token {quote_value(self._name)}, expected {expected}"
                )
            fleet = fleet._replace(rows=[row for row in fleet.rows if row.name == self._name])
            tokens = [token for token in shown["tokens"] if token["name"] == self._name]
            shown |= {"counts": {token["state"]: 1 for token in tokens}, "tokens": tokens}
        return StatusView(fleet, received=shown, is_named=self._name is not None)

    def close(self) -> None:
        """End the connection."""
        self._session.close()

    def _ask(self) -> dict[str, Any]:
        try:
            with self._session.get(f"{self._url}{PATH}", stream=True) as response:
                status = response.status_code
                shown = read_json(response, _LARGEST) if status == HTTPStatus.OK else None
        except OSError as error:
            why = _FAILURES.get(explain_failure(error).kind, _BROKEN)
            raise DaemonError(f"the daemon at {self._url}: {why}") from None
        if status != HTTPStatus.OK:
            why = _STATUSES.get(status, f"it answered {status}")
            raise DaemonError(f"the daemon at {self._url}: {why}")
        return shown if isinstance(shown, dict) else {}
