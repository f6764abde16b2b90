"""A conversation with `rotator init`: what it asks, and what is typed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.process import ROTATOR, Runner
from tests.support.sandbox import Sandbox
from tests.support.screen import Screen

URL, EMAIL, FILE, PASSWORD = "API's URL", "admin's e-mail", "file for the admin's", "(not shown)"
STORE, MORE, FORM = "bot read its token", "Another store", "settings be"
NAME, RENEWAL, RUNNER, KEEP = "name for the token", "less is left than", "shall run it", "Keep this"
NUMBER = "Number"


@contextmanager
def talking(rotator: Runner, *options: str, **env: str) -> Iterator[Screen]:
    """Start `rotator init` in a terminal, in the runner's folder; it is killed at the end."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NOCTURNA", "ROTATOR"))}
    variables: Mapping[str, str] = {**inherited, "COLUMNS": "400", **rotator.env, **env}
    screen = Screen([ROTATOR, "init", *options], rotator.folder, variables, rotator.transcript)
    try:
        yield screen
    finally:
        screen.process.kill()
        screen.process.wait()


def log_in(screen: Screen, api: Sandbox) -> None:
    """Answer the questions about the API, without a mistake."""
    screen.answer(URL, api.url)
    screen.answer(EMAIL, api.admin_email)
    screen.answer(FILE, "")
    screen.answer(PASSWORD, api.admin_password)


def finish(screen: Screen, runner: str = "") -> str:
    """Take what is offered for the rest, and return what was shown at the end."""
    screen.answer(MORE, "")
    screen.wait_for(FORM)
    screen.answer(NUMBER, "")
    screen.answer(NAME, "luna")
    screen.answer(RENEWAL, "")
    screen.wait_for(RUNNER)
    screen.answer(NUMBER, runner)
    assert screen.end() == 0, screen.shown
    return screen.shown
