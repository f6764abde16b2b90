"""Where the program tells people that something is wrong: its messages, as the code has them."""

import ast
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from tests.messages.source import Module, Source, name_of
from tests.messages.texts import Scope, Texts, message_of_error

_LEVELS = ("warning", "error", "critical", "log")
_LISTS = ("troubles", "mistakes", "failures", "lacks", "problems")
_KEYWORDS = ("error", "trouble")
# The place of the message among the arguments, and what the argument before it is when all is well.
_RESULTS = {
    "Finding": (2, "OK"),
    "HookFailure": (1, ""),
    "MirrorLook": (2, "CURRENT"),
    "Retired": (1, ""),
    "StoreReport": (2, ""),
    "Subject": (5, ""),  # what is missing
    "UnavailableStore": (1, ""),
}
# What these return is told by whoever calls them.
_TELLERS = (
    "_describe_hidden_backends",
    "_describe_unknown",
    "_run_within",
    "describe_late_use",
    "describe_use",
    "error",
    "lack_of",
    "message",
    "missing",
    "send_notice",
    "summary",
    "test_notices",
)


class Place(NamedTuple):
    """An expression whose text people read."""

    module: Module
    node: ast.expr
    told: tuple[ast.expr, ...]  # a message, or a format of logging and its values

    @property
    def name(self) -> str:
        return f"{self.module.path}:{self.node.lineno}"


def places(source: Source) -> Iterator[Place]:
    """Yield every place in the code at which a message is made."""
    for module in source.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                for found in _told_by(node, module, source):
                    yield Place(module, node, found)
            elif isinstance(node, ast.FunctionDef) and node.name in _TELLERS:
                yield from (Place(module, each, (each,)) for each in _returned(node))
            elif isinstance(node, ast.AugAssign) and name_of(node.target) in _LISTS:
                yield from (Place(module, each, (each,)) for each in _added(node.value))


def messages(source: Source, texts: Texts) -> Iterator[tuple[Place, list[str]]]:
    """Yield each place with its texts, none if the code does not show them."""
    for place in places(source):
        scope = Scope(place.module, place.module.function_of[place.node])
        form, *values = place.told
        found = texts.within(form, scope)
        if values:
            found = [each for text in found for each in _logged(text, values, texts, scope)]
        if isinstance(place.node, ast.Call) and name_of(place.node) == "ValueError":
            # Of a value of the settings or the command line; others are caught and never told.
            found = [text for text in found if re.search("^(found|expected) |, expected ", text)]
            if not found:
                continue
        yield place, found


def _told_by(  # noqa: C901, PLR0912 - a table: a case per way to tell
    call: ast.Call, module: Module, source: Source
) -> Iterator[tuple[ast.expr, ...]]:
    name, arguments = name_of(call.func), call.args
    match name, arguments:
        case "partial", [error, message, *_] if name_of(error) in source.errors:
            yield (message,)
        case "_report", [message, *_]:
            yield (message,)
        case "append", [message] if name_of(message) not in _RESULTS:
            if name_of(call.func.value) in _LISTS:  # type: ignore[attr-defined]
                yield (message,)
        case "Verdict", [_, _, message, need] if name_of(need) != "NOTHING":
            yield (message,)
        case "ValueError", [message]:
            yield (message,)
        case "OSError" | "TimeoutError", [_, ast.Constant() as message, *_]:  # its reason
            yield (message,)
        case method, [*_] if method in _LEVELS and _is_log(call.func):
            form, *values = arguments[name == "log" :]
            yield (form, *(item for each in values for item in _unpacked(each)))
    if source.is_error(call, module) and (told := message_of_error(call)) is not None:
        yield (told,)
    if name in _RESULTS:
        index, fine = _RESULTS[name]
        if len(arguments) > index and (not fine or name_of(arguments[index - 1]) != fine):
            yield (arguments[index],)
    for keyword in call.keywords:
        if keyword.arg in _KEYWORDS:
            yield (keyword.value,)


def _added(more: ast.expr) -> list[ast.expr]:
    """Return what is added to a list, if it is made there, or by a function."""
    match more:
        case ast.List(items):
            return items
        case ast.Call(ast.Name()):
            return [more]
    return []


def _returned(function: ast.FunctionDef) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            yield node.value


def _is_log(method: ast.expr) -> bool:
    return isinstance(method, ast.Attribute) and name_of(method.value) == "_log"


def _unpacked(argument: ast.expr) -> list[ast.expr]:
    is_tuple = isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Tuple)
    return argument.value.elts if is_tuple else [argument]  # type: ignore[attr-defined]


def _logged(form: str, values: list[ast.expr], texts: Texts, scope: Scope) -> list[str]:
    """Return what logging makes of a format."""
    first, *rest = re.split(r"%[.\d]*[sdf]", form)
    parts: list[str | ast.expr] = [first]
    for value, text in zip_longest(values[: len(rest)], rest, fillvalue="⟨VALUE⟩"):
        parts += [value, text]
    return texts.join([part for part in parts if part], scope)
