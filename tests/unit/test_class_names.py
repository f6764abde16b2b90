"""No two classes of the program have the same name, so that a name alone says which is meant."""

import ast
from collections import defaultdict

from tests.messages.source import ROOT

# Both are documented, and a bot imports the one for its HTTP library.
_TWINS = {"NocturnaAuth"}


def test_no_two_classes_have_the_same_name() -> None:
    files: defaultdict[str, list[str]] = defaultdict(list)
    for folder in ("rotator", "backends"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    files[node.name].append(str(path.relative_to(ROOT)))
    twice = {name: found for name, found in files.items() if len(found) > 1}
    assert {name: found for name, found in twice.items() if name not in _TWINS} == {}
