"""`auth=` for requests: the bearer, and one more try after a 401."""

from contextlib import suppress
from typing import Any

from requests import PreparedRequest, Response, codes
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body
from urllib3.exceptions import HTTPError

from rotator.client.access_tokens import AccessTokens
from rotator.client.bearers import Mode, bearer_of
from rotator.client.origins import Elsewhere, origin
from rotator.errors import ConfigError

_PREFIX = "Bearer "
_LARGEST_REFUSAL = 64 * 1024  # bytes


class NocturnaAuth(AuthBase):
    """Adds a bearer to requests that go to the API, and to no others; safe to share.

    After a 401 it gets another bearer and sends the request once more, its body too; a second 401,
    and that to a body which cannot be sent twice (a generator), is the caller's. `mode="direct"`
    sends the service token itself instead of access tokens.

    Requests raise what `get_access_token` raises when there is nothing to send.
    """

    def __init__(self, tokens: AccessTokens, mode: Mode = "exchange") -> None:
        self._tokens = tokens
        self._bearer = bearer_of(tokens, mode)
        self._get = self._bearer.get
        self._elsewhere = Elsewhere(tokens.api_url)
        # As requests writes URLs: with a host in lower case, in ASCII.
        url = _written(tokens.api_url)
        self._origin = origin(url)
        self._start = url[: url.index("/", url.index("://") + 3) + 1]

    def __repr__(self) -> str:
        return f"NocturnaAuth({self._tokens!r})"

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the header; requests calls this for the first request, not after a redirect."""
        if not isinstance(request, PreparedRequest):
            raise ConfigError(
                "this NocturnaAuth is for requests: for httpx import it from rotator.client.httpx"
            )
        if self._is_ours(request):
            request.headers["Authorization"] = _PREFIX + self._get()
            request.register_hook("response", self._answered)  # type: ignore[no-untyped-call] # the stubs
        else:
            self._elsewhere.tell(request.url or "")
        return request

    def _answered(self, response: Response, **options: Any) -> Response:  # noqa: ANN401 - of `send`
        if response.status_code != codes.unauthorized:
            return response
        request = response.request
        sent = request.headers.get("Authorization", "")
        # After a redirect this may be the answer of another server, which got no bearer.
        if not self._is_ours(request) or not sent.startswith(_PREFIX):
            return response
        try:
            other = self._bearer.instead_of(sent.removeprefix(_PREFIX))
        except BaseException:
            response.close()
            raise
        if other is None or not _is_rewound(request):
            return response
        _use_up(response)
        request.headers["Authorization"] = _PREFIX + other
        again: Response = response.connection.send(request, **options)
        again.history.append(response)
        return again

    def _is_ours(self, request: PreparedRequest) -> bool:
        url = request.url or ""
        # The comparison of texts is 3 us faster; what it does not know is taken apart.
        return url.startswith(self._start) or origin(url) == self._origin


def _written(url: str) -> str:
    prepared = PreparedRequest()
    prepared.prepare_url(url, None)
    return prepared.url or ""


def _is_rewound(request: PreparedRequest) -> bool:
    if request.body is None or isinstance(request.body, bytes | str):
        return True
    try:
        rewind_body(request)
    except (UnrewindableBodyError, ValueError):  # ValueError: the file is closed
        return False
    return True


def _use_up(response: Response) -> None:
    """Read what was refused to its end, so that the connection is used again, unless it is long."""
    with suppress(HTTPError, OSError):  # then the connection is closed
        response.raw.read(_LARGEST_REFUSAL)
    response.close()
