"""The page of messages is what the code tells, and each message on it says what to do."""

import ast
from collections.abc import Sequence

import pytest

from tests.messages.page import BY_HAND, PAGE, REMEDIES, Found, Pattern, find, read, write
from tests.messages.source import Module, Source


@pytest.fixture(scope="module")
def found() -> Found:
    return find(Source.read())


def test_the_page_is_made_of_the_code(found: Found) -> None:
    assert write(found) == PAGE.read_text(), "run: make messages"


def test_every_message_says_what_to_do(found: Found) -> None:
    rows = [row for texts in found.by_topic.values() for row in texts.items()]
    assert [f"{place.name}: {text}" for text, place in rows if read(text, place) is None] == []


def test_every_module_with_messages_has_a_topic(found: Found) -> None:
    assert [place.name for place in found.by_topic.get("", {}).values()] == []


def test_what_the_code_does_not_show_is_listed_by_hand(found: Found) -> None:
    listed = [each for group in BY_HAND["handed_on"].values() for each in group]
    expressions = {ast.unparse(place.told[0]) for place in found.unread}
    assert sorted(expressions) == sorted(listed)


def test_no_remedy_is_left_of_a_message_that_is_gone(found: Found) -> None:
    texts = tuple(text for each in found.by_topic.values() for text in each)
    unused = [each for each in REMEDIES if not any(t.startswith(each) for t in texts)]
    assert unused == []
    paths = {place.module.path for each in found.by_topic.values() for place in each.values()}
    assert set(BY_HAND["of_modules"]) <= paths


def texts_of(code: str) -> list[str]:
    source = Source([Module.parse("rotator/config/made_up.py", f"{ERRORS}\n{code}")])
    return [text for texts in find(source).by_topic.values() for text in texts]


ERRORS = "class ConfigError(Exception): ..."
EXAMPLES = [
    (
        """
raise ConfigError('it is gone')
""",
        ["it is gone"],
    ),
    (
        """
def check(file, why):
    raise ConfigError(f'{file.path} is gone ({why!r})')
""",
        ["⟨PATH⟩ is gone (⟨REASON⟩)"],
    ),
    (
        """
WHY = {404: 'there is none', 503: '{host} sleeps'}
def check(status):
    raise ConfigError(f'no answer: {WHY[status]}')
""",
        ["no answer: there is none", "no answer: ⟨HOST⟩ sleeps"],
    ),
    (
        """
def refuse(what):
    raise ConfigError(f'{what}: nothing was done')
refuse('the file is gone')
refuse(what='the folder is full')
""",
        ["⟨the file is gone|the folder is full⟩: nothing was done"],
    ),
    (
        """
def describe(n):
    if n:
        return f'there are {n} files'
    return 'there is no file'
def check(n):
    text = describe(n)
    text += '; stop'
    raise ConfigError(text)
""",
        ["there are ⟨N⟩ files", "there is no file", "⟨TEXT⟩; stop"],
    ),
    (
        """
def check(again):
    kind = ConfigError
    return kind(f'it is gone{" again" if again else ""}')
""",
        ["it is gone⟦ again⟧"],
    ),
    (
        """
_log.warning('%s: it is gone (%d)', path, *values)
""",
        ["⟨PATH⟩: it is gone (⟨VALUES⟩)"],
    ),
    (
        """
def check(text):
    if not text:
        raise ValueError('no fields')
    raise ValueError(f'found {text}, expected none')
""",
        ["found ⟨TEXT⟩, expected none"],
    ),
]


@pytest.mark.parametrize(("code", "expected"), EXAMPLES)
def test_a_message_is_found_in_the_code(code: str, expected: Sequence[str]) -> None:
    assert sorted(texts_of(code)) == sorted(expected)


def test_a_message_that_cannot_be_read_is_told() -> None:
    code = "def check(build):\n raise ConfigError(build())"
    source = Source([Module.parse("rotator/config/made_up.py", f"{ERRORS}\n{code}")])
    assert [place.name for place in find(source).unread] == ["rotator/config/made_up.py:3"]


def test_a_pattern_finds_its_message_and_no_other() -> None:
    pattern = Pattern.of("⟨PATH⟩ is gone⟦ again⟧ ⟨for ever|today⟩ (⟨REASON⟩)")
    assert pattern.is_in("rotator: /a/b is gone again today (no space)")
    assert pattern.is_in("rotator: /a/b is gone for ever (no space)")
    assert not pattern.is_in("rotator: /a/b is gone again tomorrow (no space)")
