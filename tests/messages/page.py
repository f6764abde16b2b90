"""The page of all messages, docs/messages.md, made of the code: `make messages`."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.messages.source import ROOT, Source
from tests.messages.texts import Texts, has_words
from tests.messages.told import Place, messages

PAGE = ROOT / "docs/messages.md"
BY_HAND: dict[str, Any] = tomllib.loads(Path(__file__).with_name("remedies.toml").read_text())
REMEDIES = {begin: to_do for to_do, begins in BY_HAND["remedies"].items() for begin in begins}
_INTRODUCTION = """\
# Messages

Made of the code by `make messages`. Every message of an error, a warning or a refused setting is
listed by what it is about, in the order of its fixed words: search for a few of those. Names in
capitals stand for what varies, words between slashes for one of them, and words in brackets may be
missing.

In front of a message stand the level, the token's name, and the store's URL, the file or the
variable that it is about; of several APIs also the name of the one. Often a message is a part of
another: look for each part. `rotator check`, `rotate` and the log tell [the kind of a
failure](commands.md#json) for programs, too. What a command line lacks, its parser tells: see
`--help` of the command. `internal error` is a bug of the rotator: report the line.
"""
_HOLE = re.compile(r"⟨[A-Z_0-9…]*⟩")
_CHOICE = re.compile(r"⟨([^⟨⟩]*)⟩")
# A message that is a part of another: it says what to do.
_PART = r"⟨(?:REASON|MESSAGE|FAULT|SILENCE|LACKS|REMEDY|DESCRIPTION|MESSAGES|NO_ANSWER)⟩"
_SEPARATOR = re.compile(r"; |: |, expected ")  # in front of what is to be done
_OTHER_BEGINNINGS = ("next look ", "the next ", "to see why, run ")
_COMMAND = re.compile(
    r"\b(rotator (?:rotate|leaked|doctor|daemon|exec|check|tokens list|tokens revoke|status)"
    r"(?: (?:NAME|ID|--[a-z-]*[a-z]))*)\b"
)
_COMMANDS = ("aws ", "chmod ", "kubectl ", "pip ", "rotator ")


class Message(NamedTuple):
    """What a message says happened, and what it, or this page, says is to be done."""

    happened: str
    to_do: str


class Found(NamedTuple):
    """All messages by topic, and the places whose message the code does not show."""

    by_topic: Mapping[str, Mapping[str, Place]]
    unread: list[Place]


def find(source: Source) -> Found:
    """Return the texts of all messages of a source, each with a place that makes it."""
    by_topic: dict[str, dict[str, Place]] = defaultdict(dict)
    unread = []
    for place, found in messages(source, Texts(source)):
        said = [text for text in found if has_words(text)]
        if not found or (not said and not hands_on_an_error(place)):
            unread.append(place)
        for text in said:
            # A variable may hold a form of logging elsewhere.
            if not text.startswith(tuple(BY_HAND["fine"])) and "%s" not in text:
                by_topic[topic_of(place.module.path)].setdefault(text, place)
    return Found(by_topic, unread)


def hands_on_an_error(place: Place) -> bool:
    """Tell whether it repeats the message of an error that it caught: by convention, `error`."""
    told = ast.unparse(place.told[-1])
    return re.search(r"""(^|\W)error(\)|\}["'])*$""", told) is not None


def topic_of(path: str) -> str:
    """Return the topic of a module: that of the longest beginning of its path."""
    topics = {begin: topic for topic, each in BY_HAND["topics"].items() for begin in each}
    found = [begin for begin in topics if path.startswith(begin)]
    return topics[max(found, key=len)] if found else ""


def read(text: str, place: Place) -> Message | None:  # noqa: PLR0911 - a table: a case per form
    """Take a message apart, None if nothing says what to do."""
    for begin, to_do in REMEDIES.items():
        if text.startswith(begin):
            return Message(text, to_do)
    for separator in _SEPARATOR.finditer(text):
        happened, rest = text[: separator.start()], text[separator.end() :]
        if happened.count("(") > happened.count(")"):
            continue
        if separator[0] == ", expected ":
            return Message(text, "give what is expected")
        verb = re.match(r"[⟨⟦]?(\w+)", rest)
        if (verb and verb[1] in BY_HAND["verbs"]) or rest.startswith(_OTHER_BEGINNINGS):
            return Message(happened if has_words(happened) else text, rest)
    if re.match("expected ", text):
        return Message(text, "give what is expected")
    if re.search("excludes? |cannot be combined", text):
        return Message(text, "leave one of them out")
    if part := re.match(rf"{_PART}|.*(?:: |; |\(){_PART}\)?(?:⟨THEN⟩)*$", text):
        name = re.findall(_PART, part[0])[-1]
        return Message(text, f"see what {name} says")
    remedy = BY_HAND["of_modules"].get(place.module.path)
    return Message(text, remedy) if remedy else None


def write(found: Found) -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for topic in BY_HAND["topics"]:
        parts += [f"## {topic}\n", "| message | what to do |", "|---|---|"]
        rows = sorted(found.by_topic[topic].items(), key=lambda row: _sort_key(row[0]))
        parts += [_row(message) for row in rows if (message := read(*row))]
        parts.append("")
    return "\n".join(parts)


class Pattern(NamedTuple):
    """Finds a message in what the program wrote; `fixed` is a part that never varies."""

    fixed: str
    expression: re.Pattern[str]

    @classmethod
    def of(cls, text: str) -> "Pattern":
        text = re.sub(r"^⟨[A-Z_0-9…]*⟩|⟨[A-Z_0-9…]*⟩$", "", text)
        fixed = max(re.split(r"⟨[^⟨⟩]*⟩", re.sub(r"⟦.*?⟧", "⟨⟩", text)), key=len)
        pattern = _HOLE.sub(".*?", re.escape(text))
        pattern = _CHOICE.sub(lambda found: "(?:" + found[1].replace(r"\|", "|") + ")", pattern)
        return cls(fixed, re.compile(pattern.replace("⟦", "(?:").replace("⟧", ")?")))

    def is_in(self, line: str) -> bool:
        return self.fixed in line and self.expression.search(line) is not None


def _sort_key(text: str) -> tuple[str, str]:
    """Sort by the words that never vary: whoever searches the page does not know the others."""
    return re.sub(r"[^\w ]", "", _HOLE.sub("", text)).strip().lower(), text


def _row(message: Message) -> str:
    said, remedy = _shown(message.happened), _shown(message.to_do)
    fence = "``" if "`" in said else "`"
    pad = " " if said.startswith("`") or said.endswith("`") else ""
    if not remedy.startswith(_COMMANDS):
        remedy = f"{remedy[0].upper()}{remedy[1:]}"
    remedy = re.sub(r"([|*_<])", r"\\\1", remedy.rstrip("."))
    remedy = _COMMAND.sub(r"`\1`", remedy)
    said = said.replace("|", r"\|")
    return f"| {fence}{pad}{said}{pad}{fence} | {remedy}. |"


def _shown(text: str) -> str:
    text = _CHOICE.sub(lambda found: found[1].replace("|", "/"), text)
    return text.replace("⟦", "[").replace("⟧", "]")


if __name__ == "__main__":
    PAGE.write_text(write(find(Source.read())))
