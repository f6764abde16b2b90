"""What the API makes of what it is sent: the values of a call, or a 422 in pydantic's words."""

import json
from typing import Any
from urllib.parse import parse_qs

from rotator.sandbox.messages import Request, invalid

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
