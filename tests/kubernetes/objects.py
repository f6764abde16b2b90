"""What an API server does with an object whatever it is kept in: merge it, check it, refuse it."""

import base64
import re
from collections.abc import Iterator
from typing import Any

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_QUALIFIED = re.compile(
    r"([a-z0-9.-]{1,253}/)?(?=.{1,63}\Z)([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
)
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_INVALID, _FORBIDDEN = "FieldValueInvalid", "FieldValueForbidden"


class RefusedError(Exception):
    """Becomes a Status."""

    def __init__(self, code: int, reason: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": details} if details else {}),
            "code": code,
        }


def merged(old: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    """Apply a merge patch (RFC 7386), leaving empty maps out as the API server does."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
            if kept[key] == {}:
                del kept[key]
    return kept


def validate(wanted: dict[str, Any], name: str, kind: str, old: dict[str, Any]) -> None:
    """Refuse what kube-apiserver refuses; `old` is empty for a new object."""
    for value in wanted.get("data", {}).values():
        try:
            base64.b64decode(value, validate=True)
        except ValueError:
            raise RefusedError(400, "BadRequest", "illegal base64 data at input byte 0") from None
    causes = [
        {"reason": reason, "message": message, "field": field}
        for field, reason, message in _faults(wanted, name, old)
    ]
    if causes:
        told = ", ".join(f"{cause['field']}: {cause['message']}" for cause in causes)
        message = f'{kind} "{name}" is invalid: {told}'
        raise RefusedError(422, "Invalid", message, name=name, kind=kind, causes=causes)


def _faults(
    wanted: dict[str, Any], name: str, old: dict[str, Any]
) -> Iterator[tuple[str, str, str]]:
    if not _NAME.fullmatch(name):
        yield (
            "metadata.name",
            _INVALID,
            (
                f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower'
                " case alphanumeric characters, '-' or '.', and must start and end with an"
                " alphanumeric character"
            ),
        )
    template = wanted.get("spec", {}).get("template", {})
    for field, part in (("metadata", wanted), ("spec.template", template)):
        for key in part.get("metadata", {}).get("annotations", {}):
            if _QUALIFIED.fullmatch(key):
                continue
            yield (
                f"{field}.annotations",
                _INVALID,
                (f'Invalid value: "{key}": name part must be no more than 63 characters'),
            )
    for key in wanted.get("data", {}):
        if not _KEY.fullmatch(key):
            yield (
                f"data[{key}]",
                _INVALID,
                (
                    f'Invalid value: "{key}": a valid config key must consist of alphanumeric'
                    " characters, '-', '_' or '.'"
                ),
            )
    if old.get("immutable") and wanted.get("data") != old.get("data"):
        yield "data", _FORBIDDEN, "Forbidden: field is immutable when `immutable` is set"
