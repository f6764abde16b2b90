"""Questions at a terminal; without one, nothing is asked, and each needs its option."""

import sys
from collections.abc import Callable, Sequence
from getpass import getpass
from typing import Protocol, TypeVar

import click

from rotator.cli.tables import wrap
from rotator.errors import ConfigError, RotatorError, StoreError, one_line

T = TypeVar("T")


class Asker(Protocol):
    """Whoever answers the questions, and is told what came of the answers."""

    is_there: bool

    def ask(self, question: str, default: str = "") -> str:
        """Return an answer on one line, the default for an empty one."""

    def ask_secret(self, question: str) -> str:
        """Return an answer that nobody sees."""

    def tell(self, line: str) -> None:
        """Say a line that is no result."""


class Person:
    """A person. Questions go to stderr, so that stdout holds results only."""

    is_there = True

    def ask(self, question: str, default: str = "") -> str:
        hint = f" [{default}]" if default else ""
        while True:
            sys.stderr.write(wrap(f"{question}{hint}:") + " ")
            sys.stderr.flush()
            line = sys.stdin.buffer.readline()
            if not line.endswith(b"\n"):  # Ctrl-D
                sys.stderr.write("\n")
                raise click.Abort
            answer = line.decode("utf-8", "replace").strip() or default
            if answer:
                return answer

    def ask_secret(self, question: str) -> str:
        while True:
            if answer := getpass(f"{question} (not shown): ", sys.stderr):
                return answer

    def tell(self, line: str) -> None:
        sys.stderr.write(f"{wrap(line)}\n")
        sys.stderr.flush()


class Nobody:
    """No terminal: a question that has no answer yet takes the default."""

    is_there = False

    def ask(self, question: str, default: str = "") -> str:
        if not default:
            raise ConfigError(f"init: there is no terminal to ask for: {question}")
        return default

    def ask_secret(self, question: str) -> str:
        raise ConfigError(f"init: there is no terminal to ask for: {question}")

    def tell(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")


def confirm(asker: Asker, question: str, *, default: bool) -> bool:
    """Ask for yes or no; without a terminal, take the default."""
    while asker.is_there:
        answer = asker.ask(f"{question} (y/n)", "y" if default else "n").lower()
        if answer in ("y", "yes", "n", "no"):
            return answer.startswith("y")
    return default


def choose(asker: Asker, question: str, options: Sequence[str], default: int) -> str:
    """List the options, and return the chosen one, or any other answer as it is."""
    if asker.is_there:
        asker.tell(question)
        for number, option in enumerate(options, 1):
            asker.tell(f"  {number}  {option}")
    answer = asker.ask("Number", str(default))
    is_number = answer.isdecimal() and 0 < int(answer) <= len(options)
    return options[int(answer) - 1] if is_number else answer


def settle(
    asker: Asker, answer: Callable[[], T], trial: Callable[[T], str], *, untested: bool = False
) -> T:
    """Return an answer that passed its trial; ask again until one does.

    `answer` asks, and raises `ConfigError` for what has the wrong form; `trial` says what is so. A
    person may keep an answer whose trial failed for what is elsewhere, such as a server that only
    pods reach, or a missing right; `untested` keeps it without a question. Raises the error where
    nobody is there.
    """
    while True:
        try:
            value = answer()
        except ConfigError as error:
            if not asker.is_there:
                raise
            asker.tell(f"  no: {one_line(str(error))}")
            continue
        try:
            if told := trial(value):
                asker.tell(f"  ok: {told}")
        except RotatorError as error:
            is_elsewhere = error.retryable or isinstance(error, StoreError)
            if untested and is_elsewhere:
                asker.tell(f"  not tested: {one_line(str(error))}")
                return value
            if not asker.is_there:
                raise
            asker.tell(f"  no: {one_line(str(error))}")
            if is_elsewhere and confirm(asker, "Keep this answer all the same", default=False):
                return value
        else:
            return value
