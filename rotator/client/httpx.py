"""`NocturnaAuth` for httpx, for its client and its async client."""

from collections.abc import AsyncGenerator, Generator
from typing import NoReturn

from rotator.client.access_tokens import AccessTokens
from rotator.client.bearers import PREFIX, BearerAuth, Mode
from rotator.errors import ConfigError

try:
    import httpx
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "rotator.client.httpx needs httpx, which is not installed:"
        " pip install 'nocturna-rotator[httpx]'",
        name="httpx",
    ) from None


class NocturnaAuth(BearerAuth, httpx.Auth):
    """`auth=` for httpx: adds a bearer to requests to the API, and to no others.

    After a 401 it gets another bearer and sends the request once more. A second 401 is returned to
    the caller, and so is the first if the body is not in memory (a stream, a multipart form) or
    there is no other bearer. Clients, threads and tasks may share an instance; the async client has
    to run on asyncio.

    Arguments and errors are those of `rotator.client.NocturnaAuth`.
    """

    def __init__(self, tokens: AccessTokens, mode: Mode = "exchange") -> None:
        super().__init__(tokens, mode)
        self._origin = _origin_of(httpx.URL(tokens.api_url))

    def __call__(self, _request: object) -> NoReturn:
        """Raise `ConfigError`: requests calls this, httpx does not."""
        raise ConfigError(
            "this NocturnaAuth is for httpx: for requests import it from rotator.client"
        )

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request once, or after a 401 twice."""
        if _origin_of(request.url) != self._origin:
            self._warn_of_foreign(str(request.url))
            yield request
            return
        sent = self._get()
        response = yield _add_bearer(request, sent)
        if self._is_refusal(response, sent):
            bearer = self._replace(sent)
            if bearer is not None and _is_in_memory(response.request):
                yield _add_bearer(response.request, bearer)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request once, or after a 401 twice."""
        if _origin_of(request.url) != self._origin:
            self._warn_of_foreign(str(request.url))
            yield request
            return
        sent = await self._get_async()
        response = yield _add_bearer(request, sent)
        if self._is_refusal(response, sent):
            bearer = await self._replace_async(sent)
            if bearer is not None and _is_in_memory(response.request):
                yield _add_bearer(response.request, bearer)

    def _is_refusal(self, response: httpx.Response, sent: str) -> bool:
        # After a redirect this may be the response of another server, which got no bearer.
        return (
            response.status_code == httpx.codes.UNAUTHORIZED
            and _origin_of(response.request.url) == self._origin
            and response.request.headers.get("Authorization") == PREFIX + sent
        )


def _origin_of(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port  # httpx drops a port that is the scheme's own


def _add_bearer(request: httpx.Request, bearer: str) -> httpx.Request:
    request.headers["Authorization"] = PREFIX + bearer
    return request


def _is_in_memory(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
