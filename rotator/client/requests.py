"""`NocturnaAuth` for requests."""

from contextlib import suppress
from typing import Any, cast

from requests import PreparedRequest, Response, codes
from requests.auth import AuthBase, HTTPBasicAuth
from requests.exceptions import UnrewindableBodyError
from requests.structures import CaseInsensitiveDict
from requests.utils import get_netrc_auth, rewind_body
from urllib3.exceptions import HTTPError

from rotator.client.access_tokens import AccessTokens
from rotator.client.bearers import PREFIX, BearerAuth, Mode, origin_of
from rotator.errors import ConfigError

_LARGEST_REFUSAL = 64 * 1024  # bytes


class NocturnaAuth(BearerAuth, AuthBase):
    """`auth=` for requests: adds a bearer to requests to the API, and to no others.

    After a 401 it gets another bearer and sends the request once more, with its body. A second 401
    is returned to the caller, and so is the first if the body cannot be sent twice (a generator) or
    there is no other bearer. Threads and sessions may share an instance.

    A request raises what `get_access_token` raises, or with `direct` what `get_service_token`
    raises: these are `rotator.errors.RotatorError`, not `requests.RequestException`.

    Args:
        tokens: a `TokenManager` or a `UserSession`.
        mode: "exchange" sends access tokens; "direct" sends the service token of a `TokenManager`
            itself, which works until it expires, even if it is revoked.

    Raises:
        ConfigError: `tokens` or `mode` is something else.
    """

    def __init__(self, tokens: AccessTokens, mode: Mode = "exchange") -> None:
        super().__init__(tokens, mode)
        # As requests writes URLs: the host in lower case and in ASCII.
        prepared = PreparedRequest()
        prepared.prepare_url(tokens.api_url, None)
        url = prepared.url or ""
        self._origin = origin_of(url)
        self._start = url[: url.index("/", url.index("://") + 3) + 1]

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the header; requests calls this for the first request, not after a redirect."""
        if not isinstance(request, PreparedRequest):
            raise ConfigError(
                "this NocturnaAuth is for requests: for httpx import it from rotator.client.httpx"
            )
        if self._is_to_api(request):
            request.headers["Authorization"] = PREFIX + self._get()
            headers = request.headers
            if type(headers) is not CaseInsensitiveDict:
                headers = CaseInsensitiveDict(headers)
            request.headers = _keep_bearer(headers, self._start)
            request.register_hook("response", self._handle_response)  # type: ignore[no-untyped-call] # the stubs
        else:
            self._warn_of_foreign(request.url or "")
        return request

    def _handle_response(self, response: Response, **options: Any) -> Response:  # noqa: ANN401 - of `send`
        if response.status_code != codes.unauthorized:
            return response
        request = response.request
        # Another login may be bytes, as by OAuth 1.
        sent: str | bytes = request.headers.get("Authorization", "")
        if not isinstance(sent, str) or not sent.startswith(PREFIX):
            return response
        # After a redirect this may be the response of another server, which got no bearer.
        if not self._is_to_api(request):
            return response
        try:
            bearer = self._replace(sent.removeprefix(PREFIX))
        except BaseException:
            response.close()
            raise
        if bearer is None or not _rewind(request):
            return response
        with suppress(HTTPError, OSError):  # a response read to its end frees its connection
            response.raw.read(_LARGEST_REFUSAL)
        response.close()
        second = request.copy()  # what was sent first stays in the history as it was
        second.headers["Authorization"] = PREFIX + bearer
        again: Response = response.connection.send(second, **options)
        again.history.append(response)
        again.request = second
        return again

    def _is_to_api(self, request: PreparedRequest) -> bool:
        url = request.url or ""
        # Comparing texts is 3 us faster than parsing, which is for the rarer spellings.
        return url.startswith(self._start) or origin_of(url) == self._origin


class _BearerHeaders(CaseInsensitiveDict[str]):
    """Keeps the bearer where requests would put the login of `~/.netrc` for the API in its place.

    It does so whenever it follows a redirect, also to the same server. To another one it removes
    the bearer before. Whatever else a caller puts there counts.
    """

    url: str  # of the API

    def __setitem__(self, key: str, value: str) -> None:
        if key.lower() == "authorization" and str(self.get(key)).startswith(PREFIX):
            login = get_netrc_auth(self.url)
            if login and value == _basic(login):
                return
        super().__setitem__(key, value)

    def copy(self) -> "_BearerHeaders":
        return _keep_bearer(CaseInsensitiveDict(self), self.url)


def _keep_bearer(headers: CaseInsensitiveDict[str], url: str) -> _BearerHeaders:
    # A copy would cost three times as much as all the rest of the call.
    headers.__class__ = _BearerHeaders
    kept = cast("_BearerHeaders", headers)
    kept.url = url
    return kept


def _basic(login: tuple[str, str]) -> str:
    """Return the header that requests makes of a login."""
    request = PreparedRequest()
    request.headers = CaseInsensitiveDict()
    HTTPBasicAuth(*login)(request)
    return request.headers["Authorization"]


def _rewind(request: PreparedRequest) -> bool:
    """Make the body ready to be sent again; return False if that is impossible."""
    if request.body is None or isinstance(request.body, bytes | str):
        return True
    try:
        rewind_body(request)
    except (UnrewindableBodyError, ValueError):  # ValueError: the file is closed
        return False
    return True
