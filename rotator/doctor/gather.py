"""The settings as far as they can be used, and every mistake that stands in the way of the rest."""

import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rotator import wiring
from rotator.config.settings import ApiSettings, Secret, Settings, TokenSettings
from rotator.errors import ConfigError
from rotator.stores.port import SecretStore


class Wired(NamedTuple):
    """The tokens whose stores can be opened, and what is wrong: a line for each mistake.

    `doubtful` are lines about what works, but should not be. `may_log_in` says that all is there
    that a login needs.
    """

    tokens: Sequence[tuple[TokenSettings, list[SecretStore]]]
    wrong: tuple[str, ...]
    doubtful: tuple[str, ...]
    may_log_in: bool


def wire(settings: Settings, names: Sequence[str]) -> Wired:
    """Open what can be opened; raises `ConfigError` for an unknown name, or without any token."""
    tokens, unusable = _opened(settings, names)
    login = list(_mistakes(*_login_needs(settings.api)))
    afterwards = _mistakes(
        lambda: wiring.require_notices(settings),
        lambda: wiring.require_restarts(settings),
    )
    wrong = dict.fromkeys((*unusable, *login, *afterwards))
    return Wired(tokens, tuple(wrong), tuple(_doubts(settings.api)), may_log_in=not login)


def _opened(
    settings: Settings, names: Sequence[str]
) -> tuple[list[tuple[TokenSettings, list[SecretStore]]], list[str]]:
    try:
        return wiring.opened(settings, names), []
    except ConfigError as error:
        wanted = [token for token in settings.tokens if not names or token.name in names]
        if not wanted or len(wanted) < len(set(names)):
            raise
        opened, wrong = [], []
        for token in wanted:  # one by one, so that the mistake of one does not hide the others
            try:
                opened += wiring.opened(settings._replace(tokens=(token,)), ())
            except ConfigError as mistake:
                wrong.append(str(mistake))
        return opened, wrong or [str(error)]


def _login_needs(api: ApiSettings) -> Iterator[Callable[[], object]]:
    """Ask for each part with the others given: they are all told, and not only the first."""
    given = Secret("", value="given")
    yield lambda: wiring.require_url(api)
    with_url = api._replace(url=api.url or "given")
    yield lambda: wiring.require_login(
        with_url._replace(admin_password=given, admin_password_store=None)
    )
    yield lambda: wiring.require_login(with_url._replace(admin_email=given))


def _doubts(api: ApiSettings) -> Iterator[str]:
    secret = api.admin_password
    if secret and secret.file and _is_public(secret.file):
        yield (
            f"{secret.origin}: every user of this machine may read {secret.file}: take that right"
            " away (chmod o-r), or mount it with the mode 0400"
        )


def _is_public(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:  # among the mistakes
        return False


def _mistakes(*needs: Callable[[], object]) -> Iterator[str]:
    for need in needs:
        try:
            need()
        except ConfigError as error:
            yield str(error)
