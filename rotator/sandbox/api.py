"""What goes over the wire, as plain data, in the shapes of a FastAPI application."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from rotator.sandbox.state import State, User


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its body already read; `path` is whole and decoded, `/api` included."""

    method: str
    path: str
    query: str
    authorization: str | None
    content_type: str | None
    host: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `drop` closes the connection after it without announcing that."""

    status: int
    body: bytes = b""
    content_type: str | None = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    drop: bool = False


class Refusal(Exception):  # noqa: N818 - an answer to give, not a mistake of the program
    """Ends a call early with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def json_answer(value: object, status: int = 200, *headers: tuple[str, str]) -> Answer:
    """Return `value` as compact JSON, the way FastAPI writes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Answer(status, text.encode(), headers=headers)


def refuse(status: int, detail: str, *headers: tuple[str, str]) -> Refusal:
    """Return the refusal of a call: `detail` is a string for every status but 422."""
    return Refusal(json_answer({"detail": detail}, status, *headers))


def unauthorized(detail: str) -> Refusal:
    """Return a 401 that names the scheme, as FastAPI's security helpers do."""
    return refuse(401, detail, ("www-authenticate", "Bearer"))


def invalid(errors: list[dict[str, Any]]) -> Refusal:
    """Return a 422: always a list, and each error's `input` echoes what was sent."""
    return Refusal(json_answer({"detail": errors}, 422))


def crash(message: str) -> Answer:
    """Return the answer to an uncaught exception, after which the connection is dropped."""
    error = {"code": "INTERNAL_ERROR", "message": message, "details": None}
    meta = {"request_id": str(uuid4())}
    shape = {"success": False, "data": None, "error": error, "meta": meta}
    return Answer(500, json.dumps(shape, separators=(",", ":")).encode(), drop=True)


_FORM = "application/x-www-form-urlencoded"
_TRUE = {"1", "on", "t", "true", "y", "yes"}
_FALSE = {"0", "off", "f", "false", "n", "no"}


def query_value(request: Request, name: str) -> str:
    """Return a required query parameter; a body is never looked at."""
    values = parse_qs(request.query, keep_blank_values=True).get(name)
    if not values:
        raise invalid([_missing(["query", name], None)])
    return values[-1]


def login_form(request: Request) -> tuple[str, str]:
    """Return user name and password; an empty field counts as missing."""
    text = request.body.decode("utf-8", "replace")
    if (request.content_type or "").partition(";")[0].strip().lower() != _FORM:
        given = _json_or_text(text)
        raise invalid([_missing(["body", name], given) for name in ("username", "password")])
    form = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
    absent = [name for name in ("username", "password") if not form.get(name)]
    if absent:
        raise invalid([_missing(["body", name], form) for name in absent])
    return form["username"], form["password"]


def json_body(request: Request) -> object:
    """Return the decoded body: None when empty, its text when it is not sent as JSON."""
    if not request.body:
        return None
    text = request.body.decode("utf-8", "replace")
    if request.content_type is not None and "json" not in request.content_type:
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        problem = _problem("json_invalid", ["body", error.pos], "JSON decode error", {})
        raise invalid([problem | {"ctx": {"error": error.msg}}]) from None


def mint_order(body: object) -> tuple[int | None, str | None, bool]:
    """Return days, scope and eternal of a mint, coerced as leniently as pydantic does."""
    if body is None:
        raise invalid([_missing(["body"], None)])
    if not isinstance(body, dict):
        say = "Input should be a valid dictionary or object to extract fields from"
        raise invalid([_problem("model_attributes_type", ["body"], say, body)])
    errors: list[dict[str, Any]] = []
    days = _integer(body.get("days", 30), errors)
    scope = body.get("scope", "calculations")
    if not isinstance(scope, str | None):
        say = "Input should be a valid string"
        errors.append(_problem("string_type", ["body", "scope"], say, scope))
    eternal = _boolean(body.get("eternal", False), errors)
    if errors:
        raise invalid(errors)
    return days, scope, eternal


def _integer(value: object, errors: list[dict[str, Any]]) -> int | None:
    say, kind = "Input should be a valid integer", "int_type"
    if value is None or isinstance(value, int):
        return None if value is None else int(value)
    if isinstance(value, float):
        if value.is_integer():
            return int(value)
        say, kind = f"{say}, got a number with a fractional part", "int_from_float"
    if isinstance(value, str):
        if value.strip().lstrip("+-").isdecimal():
            return int(value)
        say, kind = f"{say}, unable to parse string as an integer", "int_parsing"
    errors.append(_problem(kind, ["body", "days"], say, value))
    return 0


def _boolean(value: object, errors: list[dict[str, Any]]) -> bool:
    say, kind = "Input should be a valid boolean", "bool_type"
    if isinstance(value, int | float | str):
        word = str(value).lower()
        if word in _TRUE | _FALSE:
            return word in _TRUE
        say, kind = f"{say}, unable to interpret input", "bool_parsing"
    errors.append(_problem(kind, ["body", "eternal"], say, value))
    return False


def _json_or_text(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text or None


def _missing(where: list[str], given: object) -> dict[str, Any]:
    return _problem("missing", where, "Field required", given)


def _problem(kind: str, where: list[Any], say: str, given: object) -> dict[str, Any]:
    return {"type": kind, "loc": where, "msg": say, "input": given}


Call = Callable[[State, Request], Answer]

# The answer, the table and the JWT compute their expiry one after another; this is the way between.
_LATER = timedelta(milliseconds=2)


def health(_state: State, _request: Request) -> Answer:
    """Say that the process runs, whatever its database does."""
    return json_answer({"status": "healthy"})


def login(state: State, request: Request) -> Answer:
    """Trade e-mail and password for an access and a refresh token."""
    email, password = login_form(request)
    user = state.users.get(email)
    if user is None or not state.password_matches(user, password):
        raise unauthorized("Incorrect email or password")
    return _session(state, state.access_token(user.id), state.refresh_token(user.id))


def refresh(state: State, request: Request) -> Answer:
    """Give a new access token for a refresh token, and that same refresh token back."""
    token = query_value(request, "refresh_token")
    user_id = state.holder_of_refresh_token(token)
    if user_id is None:
        raise refuse(401, "Invalid or expired refresh token")
    return _session(state, state.access_token(user_id), token)


def logout(state: State, request: Request) -> Answer:
    """Forget a refresh token, known or not."""
    state.forget_refresh_token(query_value(request, "refresh_token"))
    return json_answer({"success": True})


def verify_admin(state: State, request: Request) -> Answer:
    """Tell an administrator who they are."""
    user = _admin(state, request)
    name = user.email.partition("@")[0]
    return json_answer(
        {"is_admin": True, "user_id": user.id, "email": user.email, "username": name}
    )


def mint(state: State, request: Request) -> Answer:
    """Make a service token for an administrator."""
    body = json_body(request)  # broken JSON is noticed before a missing right
    user = _admin(state, request)
    days, scope, eternal = mint_order(body)
    row = state.mint(user.id, days=days, scope=scope, eternal=eternal)
    return json_answer(
        {
            "service_token": row.secret,
            "expires_at": _naive(row.expires_at + _LATER),
            "expires_in_days": 36500 if eternal else days,
            "scope": scope,
            "token_id": row.id,
        }
    )


def list_tokens(state: State, request: Request) -> Answer:
    """List the service tokens of all administrators, without the JWTs."""
    _admin(state, request)
    now = state.clock()
    return json_answer(
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


def revoke(state: State, request: Request) -> Answer:
    """Take a service token out of the table: exchanges stop, the JWT itself stays valid."""
    _admin(state, request)
    token_id = request.path.rpartition("/")[2]
    row = state.row_of(token_id)
    if row is None:
        raise refuse(404, "Service token not found")
    row.revoked = True
    return json_answer({"success": True, "message": f"Service token {token_id} revoked"})


def exchange(state: State, request: Request) -> Answer:
    """Trade a live service token for an access token; the body does not matter."""
    row = state.live_row_behind(_bearer(request))
    if row is None:
        raise unauthorized("Could not validate service token")
    row.last_used_at = state.clock()
    access = state.access_token(row.user_id, type="access", scope=row.scope)
    return _session(state, access, row.secret)


def natal_chart(state: State, request: Request) -> Answer:
    """Stand for the ordinary calls, which look at a token's signature and at nothing else."""
    _user(state, request)
    return json_answer({"success": True, "data": {"planets": {}}, "error": None})


ROUTES: dict[str, dict[str, Call]] = {
    "/health": {"GET": health},
    "/auth/login": {"POST": login},
    "/auth/refresh": {"POST": refresh},
    "/auth/logout": {"POST": logout},
    "/auth/admin/verify": {"GET": verify_admin},
    "/auth/admin/service-tokens": {"POST": mint, "GET": list_tokens},
    "/auth/admin/service-tokens/{id}": {"DELETE": revoke},
    "/auth/service-token/refresh": {"POST": exchange},
    "/calculations/natal-chart": {"POST": natal_chart},
}


def _session(state: State, access_token: str, refresh_token: str) -> Answer:
    fields: dict[str, Any] = {"access_token": access_token, "refresh_token": refresh_token}
    return json_answer(fields | {"expires_in": state.access_lifetime})


def _bearer(request: Request) -> str:
    scheme, _, token = (request.authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise unauthorized("Not authenticated")
    return token


def _user(state: State, request: Request) -> User:
    claims = state.signer.read(_bearer(request))
    user = state.user_of(claims.get("sub")) if claims else None
    if user is None:
        raise unauthorized("Could not validate credentials")
    return user


def _admin(state: State, request: Request) -> User:
    user = _user(state, request)
    if not user.is_admin:
        raise refuse(403, "Admin privileges required")
    return user


def _naive(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat()
