"""What a text of the program can be: an expression is followed to the sentences it is made of.

It goes through f-strings, constants, tables, local variables, and functions both ways: into what
they return, and out to what their callers give. What varies from run to run becomes a ⟨NAME⟩; words
that differ in a place become ⟨one|other⟩.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import NamedTuple

from tests.messages.source import Function, Module, Source, name_of

_DEEPEST = 8  # calls
_MOST = 40  # texts of one expression
_MOST_WORDS = 4  # that differ in one place of a sentence…
_MOST_IN_WORDS = 2  # …if they are no clauses
_LONGEST_WORDS = 45  # characters of what differs within a sentence
_SAME_TEXT = ("str", "one_line", "hide_tokens", "tuple", "list", "sorted", "dict", "strip")
# What these return is a value, not a part of a sentence.
_VALUES = {
    "describe_kind": "KIND",
    "in_words": "DURATION",
    "len": "N",
    "minute": "TIME",
    "quote_value": "",
    "rfc3339": "TIME",
}
# What people call it, where the code has another name.
_NAMES = {
    "__name__": "KIND",
    "begun": "TIME",
    "binding": "N",
    "by_name": "NAMES",
    "config": "VALUE",
    "doing": "CALL",
    "error": "REASON",
    "geteuid": "USER",
    "inputs": "TIME",
    "left": "DURATION",
    "limit": "DURATION",
    "minting": "STORE",
    "shown": "FILE",
    "strays": "TOKENS",
    "strerror": "REASON",
    "suspects": "TOKENS",
    "trouble": "REASON",
    "when": "TIME",
    "why": "REASON",
}


class Items(NamedTuple):
    """The items of a tuple, a list or a table, to be evaluated when they are asked for."""

    items: tuple["tuple[ast.expr, Scope]", ...]


@dataclass(frozen=True, eq=False)
class Scope:
    """Where an expression stands; `given` holds the arguments of a call, if it is known."""

    module: Module
    function: Function | None
    given: Mapping[str, "tuple[ast.expr, Scope] | None"] = field(default_factory=dict)
    visited: frozenset[object] = frozenset()

    def deeper(self, visited: object) -> "Scope | None":
        """Return the same scope one step further, None where that leads too far or in circles."""
        if visited in self.visited or len(self.visited) >= _DEEPEST:
            return None
        return replace(self, visited=self.visited | {visited})

    def at(self, module: Module, function: Function | None) -> "Scope":
        return replace(self, module=module, function=function, given={})


Value = str | Items


class Texts:
    def __init__(self, source: Source) -> None:
        self._source = source

    def of(self, node: ast.expr, scope: Scope) -> list[str]:
        """Return the texts that an expression can be; none where it cannot be told."""
        found = (each for each in self._values(node, scope) if isinstance(each, str))
        return list(dict.fromkeys(found))

    def within(self, node: ast.expr, scope: Scope) -> list[str]:
        """Return the texts that stand in a tuple or a list, too."""
        found: list[str] = []
        for value in self._values(node, scope):
            if isinstance(value, str):
                found.append(value)
            else:
                found += [text for item in value.items for text in self.within(*item)]
        return list(dict.fromkeys(found))

    def join(self, parts: Sequence[str | ast.expr], scope: Scope) -> list[str]:
        """Return the sentences of fixed and varying parts."""
        every = []
        for before, part in zip(("", *parts), parts, strict=False):
            is_aside = isinstance(before, str) and before.endswith("(")
            every.append(
                [part] if isinstance(part, str) else self._part(part, scope, is_aside=is_aside)
            )
        for index, part in enumerate(parts):  # what is last says most
            if prod(map(len, every)) > _MOST and not isinstance(part, str):
                every[index] = [_hole(part)]
        return list(dict.fromkeys(map("".join, product(*every))))

    def _part(self, node: ast.expr, scope: Scope, *, is_aside: bool) -> list[str]:
        """Return what can stand in one place of a sentence, or in brackets beside it."""
        is_message = isinstance(node, ast.Name) and node.id.endswith("error")
        found = [] if is_message else self.of(node, scope)
        said = [each for each in found if has_words(each)]
        has_holes = len(said) + ("" in found) < len(found)
        if len(found) == 1 and not is_hole(found[0]):
            return found
        if not said or len(found) > _MOST or (is_aside and (has_holes or len(found) > _MOST_WORDS)):
            return [_hole(node)]
        if len(found) == 2 and "" in found and len(said[0]) <= _LONGEST_WORDS:
            return [f"⟦{said[0]}⟧"]
        are_words = all(len(each.split()) <= _MOST_IN_WORDS and _is_plain(each) for each in said)
        if are_words and (has_holes or len(found) > _MOST_WORDS):
            return [_hole(node)]
        if all(len(each) <= _LONGEST_WORDS and _is_plain(each) for each in found):
            return [f"⟨{'|'.join(found)}⟩"] if len(found) <= _MOST_WORDS else found
        return [_hole(node) if is_hole(each) else each for each in found]

    def _values(self, node: ast.expr, scope: Scope) -> Iterator[Value]:
        """Yield all that an expression can be; its name where that cannot be told."""
        is_known = isinstance(node, ast.Constant)
        for value in self._known_values(node, scope):
            yield value
            is_known = True
        if not is_known:
            yield _hole(node)

    def _known_values(self, node: ast.expr, scope: Scope) -> Iterator[Value]:  # noqa: C901, PLR0912 - a table: a case per kind
        match node:
            case ast.Constant(str() as text):  # which may be a form for str.format
                yield re.sub(r"\{(\w+)\}", lambda found: _as_hole(found[1]), text)
            case ast.Constant(int() | float() as number) if not isinstance(number, bool):
                yield str(number)
            case ast.JoinedStr(values):
                parts = [
                    each.value if isinstance(each, ast.FormattedValue) else name_or_text(each)
                    for each in values
                ]
                yield from self.join(parts, scope)
            case ast.BinOp(left, ast.Add(), right):
                yield from self.join((left, right), scope)
            case ast.IfExp(_, body, other):
                yield from self._values(body, scope)
                yield from self._values(other, scope)
            case ast.BoolOp(_, [*values, last]):
                for each in values:
                    yield from (value for value in self._values(each, scope) if value != "")
                yield from self._values(last, scope)
            case ast.NamedExpr(_, value) | ast.Starred(value):
                yield from self._values(value, scope)
            case ast.Tuple(items) | ast.List(items):
                yield Items(tuple((each, scope) for each in items))
            case ast.ListComp(item) | ast.GeneratorExp(item):
                yield Items(((item, scope),))
            case ast.Dict(_, items):
                yield Items(tuple((each, scope) for each in items))
            case ast.Subscript(value, index):
                at = index.value if isinstance(index, ast.Constant) else None
                yield from self._items(value, scope, at if isinstance(at, int) else None)
            case ast.Name(name):
                yield from self._of_name(name, scope)
            case ast.Attribute(value, name):
                if (module := self._source.imported_module(scope.module, value)) is not None:
                    yield from self._of_global(name, module, scope)
                elif function := self._source.property_of(node, scope.module):
                    yield from self._returned(function, {}, scope)
            case ast.Call():
                yield from self._of_call(node, scope)

    def _items(self, node: ast.expr, scope: Scope, index: int | None) -> Iterator[Value]:
        """Yield what stands in a list, a table or a tuple, or at one place of it."""
        for value in self._values(node, scope):
            if isinstance(value, Items):
                chosen = value.items if index is None else value.items[index : index + 1]
                for each, place in chosen:
                    yield from self._values(each, place)

    def _of_name(self, name: str, scope: Scope) -> Iterator[Value]:
        inner = scope.deeper((scope.module.name, scope.function, name))
        if inner is None:
            return
        if name in scope.given:
            if (given := scope.given[name]) is not None:
                yield from self._values(*given)
            return
        function = scope.function
        while function is not None:
            local = list(_assigned(name, function))
            is_parameter = name in function.parameters
            if local:
                yield from self._of_local(name, local, replace(inner, function=function))
            if is_parameter:
                yield from self._of_parameter(name, function, inner)
            if local or is_parameter:
                return
            function = function.outer
        yield from self._of_global(name, scope.module, inner)

    def _of_local(
        self, name: str, assigned: Iterable["_Assignment"], scope: Scope
    ) -> Iterator[Value]:
        for each in assigned:
            if each.is_item:
                values = list(self._items(each.value, scope, None))
            else:
                values = list(self._values(each.value, scope))
            if each.place is not None:
                tuples = [value for value in values if isinstance(value, Items)]
                chosen = [
                    item for (items,) in tuples for item in items[each.place : each.place + 1]
                ]
                values = [value for item in chosen for value in self._values(*item)]
            if each.is_appended:
                values = [f"{_as_hole(name)}{more}" for more in values if isinstance(more, str)]
            yield from values

    def _of_parameter(self, name: str, function: Function, scope: Scope) -> Iterator[Value]:
        for module, call in self._source.callers(function):
            if (argument := function.argument(call, name)) is not None:
                caller = module.function_of[call]
                yield from self._values(argument, scope.at(module, caller))
        if (default := function.default(name)) is not None:
            yield from self._values(default, scope.at(function.module, None))

    def _of_global(self, name: str, module: Module, scope: Scope) -> Iterator[Value]:
        place = self._source.resolve(module, name)
        if place and (constant := place[0].constants.get(place[1])) is not None:
            yield from self._values(constant, scope.at(place[0], None))

    def _of_call(self, call: ast.Call, scope: Scope) -> Iterator[Value]:  # noqa: C901, PLR0912 - a table: a case per function
        name, arguments = name_of(call.func), call.args
        if self._source.is_error(call, scope.module) or name.endswith("Error"):
            if (message := message_of_error(call)) is not None:
                yield from self._values(message, scope)
            return
        match name, call.func, arguments:
            case value, _, _ if value in _VALUES:
                return
            case same, _, [text, *_] if same in _SAME_TEXT:
                yield from self._values(text, scope)
            case "format", ast.Attribute(form), _:
                yield from self._values(form, scope)
            case "next", _, [items, *defaults]:
                yield from self._items(items, scope, None)
                for default in defaults:
                    yield from self._values(default, scope)
            case "get", ast.Attribute(table), [_, *defaults]:
                yield from self._items(table, scope, None)
                for default in defaults:
                    yield from self._values(default, scope)
            case "enumerate" | "zip", _, [*lists]:
                row: list[ast.expr] = [ast.Subscript(each, ast.Name("NUMBER")) for each in lists]
                if name == "enumerate":
                    row.insert(0, ast.Name("NUMBER"))
                yield Items(((ast.Tuple(row), scope),))
            case _:
                for function in self._source.targets(call, scope.module):
                    names = function.parameters
                    given = {each: self._given(call, function, each, scope) for each in names}
                    yield from self._returned(function, given, scope)

    @staticmethod
    def _given(
        call: ast.Call, function: Function, name: str, scope: Scope
    ) -> tuple[ast.expr, Scope] | None:
        if (argument := function.argument(call, name)) is not None:
            return argument, scope
        default = function.default(name)
        return None if default is None else (default, scope.at(function.module, None))

    def _returned(
        self, function: Function, given: Mapping[str, tuple[ast.expr, Scope] | None], scope: Scope
    ) -> Iterator[Value]:
        inner = scope.deeper(function)
        if inner is None:
            return
        inner = replace(inner, module=function.module, function=function, given=given)
        for node in function.nodes():
            match node:
                case ast.Return(ast.expr() as value):
                    yield from self._values(value, inner)
                case ast.Yield(ast.expr() as value):
                    yield Items(((value, inner),))


class _Assignment(NamedTuple):
    """A value of a local variable: it, each item of it, or what stands at a place of it."""

    value: ast.expr
    place: int | None = None
    is_item: bool = False
    is_appended: bool = False


def _assigned(name: str, function: Function) -> Iterator[_Assignment]:
    for node in function.nodes():
        match node:
            case ast.Assign(targets=[target], value=value):
                yield from _bound(name, target, value, is_item=False)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from _bound(name, target, value, is_item=False)
            case ast.NamedExpr(target, value):
                yield from _bound(name, target, value, is_item=False)
            case ast.AugAssign(ast.Name(other), ast.Add(), value) if other == name:
                yield _Assignment(value, is_appended=True)
            case ast.For(target, values) | ast.comprehension(target, values):
                yield from _bound(name, target, values, is_item=True)


def _bound(name: str, target: ast.expr, value: ast.expr, *, is_item: bool) -> Iterator[_Assignment]:
    match target:
        case ast.Name(other) if other == name:
            yield _Assignment(value, is_item=is_item)
        case ast.Tuple(names):
            for index, each in enumerate(names):
                if name_of(each) != name or not isinstance(each, ast.Name):
                    continue
                if isinstance(value, ast.Tuple) and not is_item:
                    yield _Assignment(value.elts[index])
                else:
                    yield _Assignment(value, index, is_item)


def message_of_error(call: ast.Call) -> ast.expr | None:
    """Return the argument of an exception that is its message."""
    index = 1 if name_of(call.func) == "MalformedTokenError" else 0
    return call.args[index] if len(call.args) > index else None


def name_or_text(node: ast.expr) -> str | ast.expr:
    return str(node.value) if isinstance(node, ast.Constant) else node


def is_hole(text: str) -> bool:
    """Tell whether a text is nothing but values, with what joins them."""
    return re.fullmatch(r"(⟨[A-Z_…]*⟩[^\w⟨]*)+\d*", text) is not None


def _is_plain(text: str) -> bool:
    return re.search(r"[:;⟨|⟦]", text) is None


def has_words(text: str) -> bool:
    """Tell whether a text says something by itself, and is no mere value or frame of others."""
    return re.search(r"[a-z]{2,}", re.sub(r"⟨[A-Z_]*⟩|⟦.*⟧", "", text)) is not None


def _hole(node: ast.AST) -> str:
    return _as_hole(_label(node))


def _as_hole(name: str) -> str:
    name = _NAMES.get(name, name).strip("_").upper()
    return f"⟨{name or 'VALUE'}⟩"


def _label(node: ast.AST) -> str:  # noqa: PLR0911 - a table: a case per kind
    """Return a name for what varies: that of the variable, or of what it is made of."""
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func, arguments):
            name = name_of(func)
            if label := _VALUES.get(name) or _NAMES.get(name):
                return label
            if arguments and not isinstance(arguments[-1], ast.Constant):
                return _label(arguments[-1])
            return _label(func.value) if isinstance(func, ast.Attribute) else name
        case ast.Subscript(value) | ast.Starred(value):
            return _label(value)
        case ast.GeneratorExp(value) | ast.IfExp(body=value):
            return _label(value)
        case ast.BoolOp(values=[first, *_]):
            return _label(first)
        case ast.BinOp():
            return "N"
    return "…"
