"""The program's source as trees: its functions, constants and imports, and who calls whom."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The embedded API answers as the real one does, and the contract of stores is tests.
_NOT_THE_PROGRAM = ("rotator/embedded_api/", "rotator/testing/")


@dataclass(eq=False)
class Function:
    module: "Module"
    node: ast.FunctionDef | ast.AsyncFunctionDef
    class_: ast.ClassDef | None
    outer: "Function | None"

    @property
    def name(self) -> str:
        return self.node.name

    @cached_property
    def parameters(self) -> list[str]:
        """The names of its parameters by position, then of those by keyword; without `self`."""
        arguments = self.node.args
        names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
        is_bound = self.class_ is not None and names[:1] in (["self"], ["cls"])
        return [*names[is_bound:], *(each.arg for each in arguments.kwonlyargs)]

    @property
    def is_property(self) -> bool:
        return any(name_of(each).endswith("property") for each in self.node.decorator_list)

    def default(self, name: str) -> ast.expr | None:
        arguments = self.node.args
        positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
        late = positional[len(positional) - len(arguments.defaults) :]
        defaults: dict[str, ast.expr | None] = dict(zip(late, arguments.defaults, strict=True))
        keywords = [each.arg for each in arguments.kwonlyargs]
        return {**defaults, **dict(zip(keywords, arguments.kw_defaults, strict=True))}.get(name)

    def argument(self, call: ast.Call, name: str) -> ast.expr | None:
        """Return what a call gives for a parameter, if the call shows it."""
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        index = self.parameters.index(name)
        given = call.args[: index + 1]
        if len(given) <= index or any(isinstance(each, ast.Starred) for each in given):
            return None
        return given[index]

    def nodes(self) -> Iterator[ast.AST]:
        """Yield the nodes of its body, without those of functions in it."""
        inner = self.module.function_of
        return (each for each in ast.walk(self.node) if inner.get(each) is self)


@dataclass(eq=False)
class Module:
    path: str
    name: str
    tree: ast.Module
    functions: dict[str, list[Function]] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    classes: list[ast.ClassDef] = field(default_factory=list)
    function_of: dict[ast.AST, Function | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, path: str, code: str) -> "Module":
        name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        module = cls(path, name, ast.parse(code))
        module._visit(module.tree, None, None)
        return module

    def _visit(self, node: ast.AST, function: Function | None, class_: ast.ClassDef | None) -> None:
        for child in ast.iter_child_nodes(node):
            self.function_of[child] = function
            match child:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    inner = Function(self, child, class_, function)
                    self.functions.setdefault(child.name, []).append(inner)
                    self._visit(child, inner, None if function else class_)
                    continue
                case ast.ClassDef():
                    self.classes.append(child)
                    self._visit(child, function, child)
                    continue
                case ast.ImportFrom(module=str(origin)):
                    for alias in child.names:
                        self.imports[alias.asname or alias.name] = (origin, alias.name)
                case ast.Assign(targets=[ast.Name(name)]) if function is None:
                    self.constants[name] = child.value
                case ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value) if (
                    function is None
                ):
                    self.constants[name] = value
            self._visit(child, function, class_)


class Source:
    """Modules that know each other; those of the program are `Source.read()`."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self.modules = {each.name: each for each in modules}
        self._functions: defaultdict[str, list[Function]] = defaultdict(list)
        self._calls: defaultdict[str, list[tuple[Module, ast.Call]]] = defaultdict(list)
        for module in modules:
            for name, functions in module.functions.items():
                self._functions[name] += functions
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call):
                    self._calls[name_of(node.func)].append((module, node))

    @classmethod
    def read(cls) -> "Source":
        paths = (path for top in ("rotator", "backends") for path in ROOT.glob(f"{top}/**/*.py"))
        names = sorted(str(path.relative_to(ROOT)) for path in paths)
        kept = (name for name in names if not name.startswith(_NOT_THE_PROGRAM))
        return cls([Module.parse(name, ROOT.joinpath(name).read_text()) for name in kept])

    @cached_property
    def errors(self) -> set[str]:
        """The names of the program's own exceptions."""
        found = {"Exception", "OSError", "RuntimeError", "UsageError", "TimeoutError"}
        classes = [each for module in self.modules.values() for each in module.classes]
        while more := [
            each.name
            for each in classes
            if each.name not in found and any(name_of(base) in found for base in each.bases)
        ]:
            found.update(more)
        return {each.name for each in classes if each.name in found} | {"UsageError"}

    def is_error(self, call: ast.Call, module: Module) -> bool:
        """Tell whether a call makes one of the program's exceptions."""
        match call.func:
            case ast.Name("kind"):  # by convention a local variable, which holds the class
                function = module.function_of[call]
                assigned = function.nodes() if function else ()
                return any(
                    isinstance(each, ast.Name)
                    and each.id == "kind"
                    and isinstance(each.ctx, ast.Store)
                    for each in assigned
                )
            case ast.Call(ast.Name("type")):
                return True
            case ast.IfExp(body, other):
                return name_of(body) in self.errors or name_of(other) in self.errors
        return name_of(call.func) in self.errors

    def resolve(self, module: Module, name: str) -> tuple[Module, str] | None:
        """Return where a global name of a module is defined, None outside the program."""
        while name in module.imports:
            origin, name = module.imports[name]
            if origin not in self.modules:
                return None
            module = self.modules[origin]
        return module, name

    def imported_module(self, module: Module, node: ast.expr) -> Module | None:
        """Return the module that a name stands for, None if it is another thing."""
        origin = module.imports.get(name_of(node)) if isinstance(node, ast.Name) else None
        return self.modules.get(".".join(origin)) if origin else None

    def targets(self, call: ast.Call, module: Module) -> list[Function]:
        """Return the functions that a call may be of; of a method, the only one of its name."""
        match call.func:
            case ast.Name(name):
                place = self.resolve(module, name)
                found = place[0].functions.get(place[1], []) if place else []
                return [each for each in found if each.class_ is None]
            case ast.Attribute(ast.Name("self" | "cls"), name):
                caller = module.function_of[call]
                while caller and caller.outer:
                    caller = caller.outer
                found = module.functions.get(name, [])
                own = [each for each in found if caller and each.class_ is caller.class_]
                return own or self._only(name)
            case ast.Attribute(value, name):
                if (other := self.imported_module(module, value)) is not None:
                    return other.functions.get(name, [])
                return self._only(name)
        return []

    def property_of(self, node: ast.Attribute, module: Module) -> Function | None:
        """Return the property of its own object that an attribute is."""
        function = module.function_of[node]
        if name_of(node.value) != "self" or function is None:
            return None
        found = [each for each in module.functions.get(node.attr, []) if each.is_property]
        return next((each for each in found if each.class_ is function.class_), None)

    def callers(self, function: Function) -> Iterator[tuple[Module, ast.Call]]:
        for module, call in self._calls[function.name]:
            if function in self.targets(call, module):
                yield module, call

    def _only(self, name: str) -> list[Function]:
        found = self._functions.get(name, [])
        return found if len(found) == 1 else []


def name_of(node: ast.AST) -> str:
    """Return the last name of an expression such as `a.b`, or of the call of one."""
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case ast.Call():
            return name_of(node.func)
    return ""
