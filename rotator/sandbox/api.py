"""The calls of the API: each takes the state and a request, and returns an answer."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from rotator.sandbox.inputs import json_body, login_form, mint_order, query_value
from rotator.sandbox.messages import Answer, Request, json_answer, refuse, unauthorized
from rotator.sandbox.state import State, User

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
