"""How the real API reads the body of a mint: as leniently as pydantic, with each mistake listed.

The rotator sends no such bodies: the embedded API itself takes a mint's body as it is.
"""

import json
from dataclasses import replace
from typing import Any

from rotator.embedded_api.api import ApiRequest, ApiResponse, respond
from rotator.embedded_api.server import Serve

_TRUE = {"1", "on", "t", "true", "y", "yes"}
_FALSE = {"0", "off", "f", "false", "n", "no"}

Problems = list[dict[str, Any]]


def mint_leniently(request: ApiRequest, call_next: Serve) -> ApiResponse:
    """Serve a mint whose body may hold mistakes; broken JSON is noticed before a missing right."""
    try:
        body = _decode(request)
    except json.JSONDecodeError as error:
        problem = _problem("json_invalid", ["body", error.pos], "JSON decode error", {})
        return respond({"detail": [problem | {"ctx": {"error": error.msg}}]}, 422)
    permission = call_next(replace(request, method="GET", path="/api/auth/admin/verify"))
    if permission.status != 200:
        return permission
    order, problems = _coerce(body)
    if problems:
        return respond({"detail": problems}, 422)
    return call_next(replace(request, body=json.dumps(order).encode()))


def _decode(request: ApiRequest) -> object:
    """Return the decoded body: None if empty, the text if it is not declared as JSON."""
    if not request.body:
        return None
    text = request.body.decode("utf-8", "replace")
    is_json = request.content_type is None or "json" in request.content_type
    return json.loads(text) if is_json else text


def _coerce(body: object) -> tuple[dict[str, Any], Problems]:
    if body is None:
        return {}, [_problem("missing", ["body"], "Field required", None)]
    if not isinstance(body, dict):
        say = "Input should be a valid dictionary or object to extract fields from"
        return {}, [_problem("model_attributes_type", ["body"], say, body)]
    problems: Problems = []
    days = _integer(body.get("days", 30), problems)
    scope = body.get("scope", "calculations")
    if not isinstance(scope, str | None):
        say = "Input should be a valid string"
        problems.append(_problem("string_type", ["body", "scope"], say, scope))
    eternal = _boolean(body.get("eternal", False), problems)
    return {"days": days, "scope": scope, "eternal": eternal}, problems


def _integer(value: object, problems: Problems) -> int | None:
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
    problems.append(_problem(kind, ["body", "days"], say, value))
    return 0


def _boolean(value: object, problems: Problems) -> bool:
    say, kind = "Input should be a valid boolean", "bool_type"
    if isinstance(value, int | float | str):
        word = str(value).lower()
        if word in _TRUE | _FALSE:
            return word in _TRUE
        say, kind = f"{say}, unable to interpret input", "bool_parsing"
    problems.append(_problem(kind, ["body", "eternal"], say, value))
    return False


def _problem(kind: str, where: list[Any], say: str, given: object) -> dict[str, Any]:
    return {"type": kind, "loc": where, "msg": say, "input": given}
