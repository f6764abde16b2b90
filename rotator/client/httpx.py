"""`auth=` for httpx, for its client and its async client: the bearer, and one more try."""

from collections.abc import AsyncGenerator, Generator
from typing import NoReturn

from rotator.client.access_tokens import AccessTokens
from rotator.client.bearers import Mode, bearer_of
from rotator.client.origins import Elsewhere
from rotator.errors import ConfigError

try:
    import httpx
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "rotator.client.httpx needs httpx, which is not installed:"
        " pip install 'nocturna-rotator[httpx]'",
        name="httpx",
    ) from None

_PREFIX = "Bearer "


class NocturnaAuth(httpx.Auth):
    """Adds a bearer to requests that go to the API, and to no others; safe to share.

    After a 401 it gets another bearer and sends the request once more. A second 401, and that to a
    body which is not in memory (a stream, a multipart form), is the caller's. `mode="direct"` sends
    the service token itself instead of access tokens. The async client has to run on asyncio.

    Requests raise what `get_access_token` raises when there is nothing to send.
    """

    def __init__(self, tokens: AccessTokens, mode: Mode = "exchange") -> None:
        self._tokens = tokens
        self._bearer = bearer_of(tokens, mode)
        self._origin = _origin(httpx.URL(tokens.api_url))
        self._elsewhere = Elsewhere(tokens.api_url)

    def __repr__(self) -> str:
        return f"NocturnaAuth({self._tokens!r})"

    def __call__(self, _request: object) -> NoReturn:
        """Say what is wrong: requests calls this, and httpx does not."""
        raise ConfigError(
            "this NocturnaAuth is for httpx: for requests import it from rotator.client"
        )

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send once, or twice."""
        if _origin(request.url) != self._origin:
            self._elsewhere.tell(str(request.url))
            yield request
            return
        sent = self._bearer.get()
        response = yield _with(request, sent)
        if self._is_refused(response, sent):
            other = self._bearer.instead_of(sent)
            if other is not None and _is_in_memory(response.request):
                yield _with(response.request, other)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send once, or twice."""
        if _origin(request.url) != self._origin:
            self._elsewhere.tell(str(request.url))
            yield request
            return
        sent = await self._bearer.get_async()
        response = yield _with(request, sent)
        if self._is_refused(response, sent):
            other = await self._bearer.instead_of_async(sent)
            if other is not None and _is_in_memory(response.request):
                yield _with(response.request, other)

    def _is_refused(self, response: httpx.Response, sent: str) -> bool:
        # After a redirect this may be the answer of another server, which got no bearer.
        return (
            response.status_code == httpx.codes.UNAUTHORIZED
            and _origin(response.request.url) == self._origin
            and response.request.headers.get("Authorization") == _PREFIX + sent
        )


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port  # httpx drops a port that is the scheme's own


def _with(request: httpx.Request, bearer: str) -> httpx.Request:
    request.headers["Authorization"] = _PREFIX + bearer
    return request


def _is_in_memory(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
