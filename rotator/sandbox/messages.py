"""What goes over the wire, as plain data, in the shapes of a FastAPI application."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4


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
