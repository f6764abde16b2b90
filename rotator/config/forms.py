"""The form of each setting in rotator.toml, as JSON Schema: what an editor can check of it.

The parsers in `rotator.config.values` decide. A form refuses nothing that its parser takes, and
takes no more than a pattern must; tests compare the two. Patterns keep to what the dialects of
JavaScript, Python and Rust have in common.
"""

from collections.abc import Mapping
from typing import Any

from rotator.config.settings import NOTICES

Form = Mapping[str, Any]


def _text(pattern: str) -> Form:
    return {"type": "string", "pattern": f"^({pattern})$"}


def _list_of(form: Form, **more: object) -> Form:
    return {"type": "array", "items": form, **more}


_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*"
_CONTROL = r"\x00-\x1f\x7f"
_SPAN = "[1-9][0-9]{0,5}[dhms]"
_HOUR_OR_MORE = (
    "[1-9][0-9]{0,5}[dh]|([6-9][0-9]|[1-9][0-9]{2,5})m"
    "|(3[6-9][0-9]{2}|[4-9][0-9]{3}|[1-9][0-9]{4,5})s"
)
_HOST = r"\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+"
_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_AWS = "[Aa][Ww][Ss]-([Ss][Ee][Cc][Rr][Ee][Tt][Ss][Mm][Aa][Nn][Aa][Gg][Ee][Rr]|[Ss][Ss][Mm])"

FLAG: Form = {"type": "boolean"}
CONNECTIONS: Form = {"type": "integer", "minimum": 1, "maximum": 100}
TEXT = _text(rf"[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*")
CREDENTIAL = _text(rf"[^{_CONTROL}\x80-\x9f]+[\r\n]*")
API_URL = _text(rf"[Hh][Tt][Tt][Pp][Ss]?://({_HOST})(:(0*({_PORT}))?)?(/[^\s?#@]*)?")
PASSWORD_STORE = _text(
    rf"{_SCHEME}:[^\s{_CONTROL}#]+#[^\s{_CONTROL}]+|{_AWS}:[^\s{_CONTROL}#]+(#[^\s{_CONTROL}]*)?"
)
NAME = _text("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# A user or password may not stand in front of the first slash behind the two.
_URL = _text(
    rf"{_SCHEME}:"
    rf"(//[^\s{_CONTROL}/?#@]*([/?#][^\s{_CONTROL}]*)?|/?[^\s{_CONTROL}/][^\s{_CONTROL}]*|/)"
)
STORES = _list_of(_URL, minItems=1, uniqueItems=True)
MIRRORS = _list_of(_URL, maxItems=8, uniqueItems=True)
DURATION = _text(_SPAN)
AT_MOST: Form = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        _text("[1-9][0-9]{0,5} per [A-Za-z_][A-Za-z0-9_]{0,39}"),
    ]
}
PERCENT = _text("([0-9]|10)%")
DAYS = _text("([1-9]|[1-9][0-9]|[12][0-9]{2}|3[0-5][0-9]|36[0-5])d|[1-9][0-9]{0,5}[hms]")
TIMEOUT = _text("([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)s|([1-9]|[1-5][0-9]|60)m|1h")
RETIRE = _text(f"never|now|{_SPAN}|unused ({_HOUR_OR_MORE})(, at most {_SPAN})?")
SCOPE: Form = {**TEXT, "not": {"pattern": "eyJ[A-Za-z0-9_.-]"}}
HOOKS = _list_of(
    {
        "type": "array",
        "items": [_text(r"[^\x00]*[^\x00\s][^\x00]*")],  # the program
        "additionalItems": _text(r"[^\x00]*"),
        "minItems": 1,
    }
)
EVENTS = _list_of({"enum": [str(event) for event in NOTICES]}, uniqueItems=True)
NOTIFY = _list_of(_text(rf"{_SCHEME}://[^\s{_CONTROL}]+"))
# A name is one of Prometheus, too: https://prometheus.io/docs/concepts/data_model/.
LABELS: Form = {
    "type": "object",
    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,39}$"},
    "additionalProperties": {**SCOPE, "maxLength": 60},
}
RESTART = _list_of(
    {
        **_text(
            "([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?(deployment|statefulset|daemonset)/"
            rf"{_LABEL}(\.{_LABEL})*"
        ),
        "allOf": [{"pattern": "^([^/]*/)?[a-z]+/[^/]{1,253}$"}],
    }
)
