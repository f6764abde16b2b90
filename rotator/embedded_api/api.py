"""The embedded API's calls: from a request to a response in the shapes of a FastAPI application."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from rotator.embedded_api.state import ApiState, User

_PREFIX = "/api"
_FORM = "application/x-www-form-urlencoded"
# The real API computes a mint's expiry three times (response, table, JWT), each a moment later.
_LATER = timedelta(milliseconds=2)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request with its body; `path` is decoded and includes `/api`."""

    method: str
    path: str
    query: str
    authorization: str | None
    content_type: str | None
    host: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response. `drop` closes the connection afterwards, without a `Connection: close` header.

    `send`, if given, sends it instead of the server: it is called with the handler, and the head
    and body as bytes.
    """

    status: int
    body: bytes = b""
    content_type: str | None = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    drop: bool = False
    send: Callable[[BaseHTTPRequestHandler, bytes, bytes], object] | None = None


class Refusal(Exception):  # noqa: N818 - a response, not a mistake of the program
    """Ends a call with this response."""

    def __init__(self, response: ApiResponse) -> None:
        super().__init__(response.status)
        self.response = response


def respond(
    value: object, status: int = 200, *headers: tuple[str, str], drop: bool = False
) -> ApiResponse:
    """Return `value` as compact JSON, as FastAPI writes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return ApiResponse(status, text.encode(), headers=headers, drop=drop)


def crash(message: str) -> ApiResponse:
    """Return the response to an uncaught exception; it ends the connection."""
    error = {"code": "INTERNAL_ERROR", "message": message, "details": None}
    meta = {"request_id": str(uuid4())}
    return respond({"success": False, "data": None, "error": error, "meta": meta}, 500, drop=True)


def relative_path(path: str) -> str:
    """Return a path below `/api`; a path elsewhere is returned as it is."""
    return path.removeprefix(_PREFIX) if path.startswith(f"{_PREFIX}/") else path


def route_of(path: str) -> str | None:
    """Return the key of `ROUTES` that serves a path; None if the API has no such path."""
    name = relative_path(path)
    if name == path and path != "/health":
        return None
    if name in ROUTES:
        return name
    head, _, last = name.rpartition("/")
    return f"{head}/{{id}}" if last and f"{head}/{{id}}" in ROUTES else None


def serve(state: ApiState, request: ApiRequest) -> ApiResponse:
    """Do what a request asks for; requests are served one at a time."""
    with state.lock:
        try:
            return _find_call(request)(state, request)
        except Refusal as refusal:
            return refusal.response
        except Exception as error:  # noqa: BLE001 - the API answers every uncaught exception like this
            return crash(str(error))


def _find_call(request: ApiRequest) -> "Call":
    route = route_of(request.path)
    if route is None:
        raise _unknown_path(request)
    calls = ROUTES[route]
    if request.method not in calls:
        allowed = next(iter(calls))  # Starlette names only the first method of a path
        raise _refusal(405, "Method Not Allowed", ("allow", allowed))
    return calls[request.method]


def _unknown_path(request: ApiRequest) -> Refusal:
    bare = request.path.rstrip("/")
    if bare == request.path or route_of(bare) is None:
        return _refusal(404, "Not Found")
    # Behind a proxy that ends TLS this sends clients to plain HTTP, as the real API does.
    query = f"?{request.query}" if request.query else ""
    location = f"http://{request.host}{bare}{query}"
    return Refusal(ApiResponse(307, b"", None, (("location", location),)))


def _refusal(status: int, detail: str, *headers: tuple[str, str]) -> Refusal:
    return Refusal(respond({"detail": detail}, status, *headers))


def _unauthorized(detail: str) -> Refusal:
    return _refusal(401, detail, ("www-authenticate", "Bearer"))  # FastAPI names the scheme


def _invalid(errors: list[dict[str, Any]]) -> Refusal:
    return Refusal(respond({"detail": errors}, 422))


def _read_query(request: ApiRequest, name: str) -> str:
    """Return a required query parameter; the API ignores the body."""
    values = parse_qs(request.query, keep_blank_values=True).get(name)
    if not values:
        raise _invalid([_missing(["query", name], None)])
    return values[-1]


def _read_login_form(request: ApiRequest) -> tuple[str, str]:
    """Return e-mail and password; an empty field counts as missing."""
    text = request.body.decode("utf-8", "replace")
    if (request.content_type or "").partition(";")[0].strip().lower() != _FORM:
        given = _json_or_text(text)
        raise _invalid([_missing(["body", name], given) for name in ("username", "password")])
    form = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
    absent = [name for name in ("username", "password") if not form.get(name)]
    if absent:
        raise _invalid([_missing(["body", name], form) for name in absent])
    return form["username"], form["password"]


def _json_or_text(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text or None


def _missing(where: list[str], given: object) -> dict[str, Any]:
    return {"type": "missing", "loc": where, "msg": "Field required", "input": given}


Call = Callable[[ApiState, ApiRequest], ApiResponse]


def health(_state: ApiState, _request: ApiRequest) -> ApiResponse:
    return respond({"status": "healthy"})


def login(state: ApiState, request: ApiRequest) -> ApiResponse:
    email, password = _read_login_form(request)
    user = state.users.get(email)
    if user is None or not state.password_matches(user, password):
        raise _unauthorized("Incorrect email or password")
    refresh_token, life = str(uuid4()), timedelta(seconds=state.refresh_lifetime)
    state.refresh_tokens[refresh_token] = user.id, state.clock() + life
    return _session(state, state.new_access_token(user.id), refresh_token)


def refresh(state: ApiState, request: ApiRequest) -> ApiResponse:
    """Return a new access token for a refresh token, and the same refresh token."""
    token = _read_query(request, "refresh_token")
    user_id, expires_at = state.refresh_tokens.get(token, ("", state.clock()))
    if expires_at <= state.clock():
        raise _refusal(401, "Invalid or expired refresh token")
    return _session(state, state.new_access_token(user_id), token)


def logout(state: ApiState, request: ApiRequest) -> ApiResponse:
    """Delete a refresh token, known or not; access tokens live on."""
    state.refresh_tokens.pop(_read_query(request, "refresh_token"), None)
    return respond({"success": True})


def verify_admin(state: ApiState, request: ApiRequest) -> ApiResponse:
    user = _admin(state, request)
    name = user.email.partition("@")[0]
    return respond({"is_admin": True, "user_id": user.id, "email": user.email, "username": name})


def mint(state: ApiState, request: ApiRequest) -> ApiResponse:
    """Mint a service token; wrong types in the body are not told from others."""
    user = _admin(state, request)
    order = _json_or_text(request.body.decode("utf-8", "replace"))
    if not isinstance(order, dict):
        raise _invalid([_missing(["body"], order)])
    days, scope = order.get("days", 30), order.get("scope", "calculations")
    eternal = order.get("eternal", False)
    row = state.mint(user.id, days=days, scope=scope, eternal=eternal)
    return respond(
        {
            "service_token": row.secret,
            "expires_at": _naive(row.expires_at + _LATER),
            "expires_in_days": 36500 if eternal else days,
            "scope": scope,
            "token_id": row.id,
        }
    )


def list_tokens(state: ApiState, request: ApiRequest) -> ApiResponse:
    """List the service tokens of all administrators, without their JWTs."""
    _admin(state, request)
    now = state.clock()
    return respond(
        [
            {
                "id": row.id,
                "user_id": row.user_id,
                "scope": row.scope,
                "created_at": _naive(row.created_at),
                "expires_at": _naive(row.expires_at),
                "last_used_at": row.last_used_at and _naive(row.last_used_at),
                "is_expired": row.expires_at <= now,
                "days_until_expiry": max(0, (row.expires_at - now).days),
            }
            for row in state.newest_first()
        ]
    )


def revoke(state: ApiState, request: ApiRequest) -> ApiResponse:
    """Delete a service token: exchanges end, but the JWT itself stays a valid bearer."""
    _admin(state, request)
    token_id = request.path.rpartition("/")[2]
    row = state.find_row(token_id)
    if row is None:
        raise _refusal(404, "Service token not found")
    row.revoked = True
    return respond({"success": True, "message": f"Service token {token_id} revoked"})


def exchange(state: ApiState, request: ApiRequest) -> ApiResponse:
    """Return an access token for a live service token; the API ignores the body."""
    row = state.find_live_row(_bearer(request))
    if row is None:
        raise _unauthorized("Could not validate service token")
    row.last_used_at = state.clock()
    access = state.new_access_token(row.user_id, type="access", scope=row.scope)
    return _session(state, access, row.secret)


def natal_chart(state: ApiState, request: ApiRequest) -> ApiResponse:
    """Stand for the ordinary calls, which check only a token's signature and expiry.

    What is asked for is checked as the real API does; the chart itself is empty.
    """
    _user(state, request)
    text = request.body.decode("utf-8", "replace")
    birth = _json_or_text(text) if "json" in (request.content_type or "") else text or None
    if not isinstance(birth, dict):
        raise _invalid([_missing(["body"], birth)])
    if mistakes := list(_mistakes_of_birth(birth)):
        raise _invalid(mistakes)
    try:
        datetime.strptime(f"{birth['date']} {birth['time']}", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - its zone is in another field
    except ValueError as error:
        raise _refusal(500, f"Error calculating natal chart: {error}") from None
    return respond({"success": True, "data": {"planets": {}, "houses": {}, "aspects": {}}})


def _mistakes_of_birth(birth: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what the API's validation finds, a mistake for each field."""
    for name in ("date", "time", "latitude", "longitude"):
        if name not in birth:
            yield _missing(["body", name], birth)
    for name in ("date", "time", "timezone"):
        if not isinstance(birth.get(name, ""), str):
            text = "Input should be a valid string"
            yield _mistake("string_type", name, text, birth[name])
    for name, most in (("latitude", 90), ("longitude", 180)):
        value = birth.get(name, 0)
        try:
            number = float(value)
        except (TypeError, ValueError):
            kind = "float_parsing" if isinstance(value, str) else "float_type"
            yield _mistake(kind, name, "Input should be a valid number", value)
            continue
        if number < -most:
            text = f"Input should be greater than or equal to -{most}"
            yield _mistake("greater_than_equal", name, text, value)
        elif not number <= most:
            text = f"Input should be less than or equal to {most}"
            yield _mistake("less_than_equal", name, text, value)


def _mistake(kind: str, name: str, text: str, given: object) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", name], "msg": text, "input": given}


ROUTES: dict[str, dict[str, Call]] = {
    "/health": {"GET": health},
    "/auth/login": {"POST": login},
    "/auth/refresh": {"POST": refresh},
    "/auth/logout": {"POST": logout},
    "/auth/admin/verify": {"GET": verify_admin},
    "/auth/admin/service-tokens": {"POST": mint, "GET": list_tokens},
    "/auth/admin/service-tokens/{id}": {"DELETE": revoke},
    "/auth/service-token/refresh": {"POST": exchange},
    "/stateless/natal-chart": {"POST": natal_chart},
}


def _session(state: ApiState, access_token: str, refresh_token: str) -> ApiResponse:
    fields: dict[str, Any] = {"access_token": access_token, "refresh_token": refresh_token}
    return respond(fields | {"expires_in": state.access_lifetime})


def _bearer(request: ApiRequest) -> str:
    scheme, _, token = (request.authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unauthorized("Not authenticated")
    return token


def _user(state: ApiState, request: ApiRequest) -> User:
    claims = state.read_claims(_bearer(request)) or {}
    user = next((user for user in state.users.values() if user.id == claims.get("sub")), None)
    if user is None:
        raise _unauthorized("Could not validate credentials")
    return user


def _admin(state: ApiState, request: ApiRequest) -> User:
    user = _user(state, request)
    if not user.is_admin:
        raise _refusal(403, "Admin privileges required")
    return user


def _naive(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat()
