"""Makes settings out of values, wherever those were given.

A mistake does not end the reading: each is added to a list, so that all can be told at once.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from rotator.clock import in_words
from rotator.config.keys import REQUIRED_KEYS, TABLES, Key
from rotator.config.settings import ApiSettings, Secret, TokenSettings, Unused, spread_out
from rotator.config.values import Value
from rotator.errors import ConfigError, nearest
from rotator.http.throttle import API_CONNECTIONS
from rotator.http.urls import is_readable_on_the_way, parse_http_url

RELATED = frozenset(("renew_before", "validity", "rotation_timeout", "retire", "max_age"))
_SECRETS = (("admin_email", "admin_email_file"), ("admin_password", "admin_password_file"))

Values = dict[str, Value]


class SettingsReader:
    """Reads what is given, and keeps its `mistakes`; relative files start at `folder`.

    What is wrong gets a stand-in in the settings, which then only serve to look for more.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mistakes: list[str] = []

    def take_table(self, table: Iterable[Key], raw: Mapping[str, Any], place: str) -> Values:
        """Return the values of a table of a file, which are not parsed yet."""
        keys = {key.name: key for key in table}
        self.mistakes += find_unknown(raw, keys, place)
        return {
            name: Value(
                f"{place} {name}", value, keys[name].expected, self.folder, keys[name].parse
            )
            for name, value in raw.items()
            if name in keys
        }

    def take_variables(self, table: str, variables: Mapping[str, str]) -> Values:
        """Return the values of the variables for the keys of a table, which are not parsed yet."""
        return {
            key.name: Value(
                f"environment: {key.variable}",
                variables[key.variable],
                key.expected,
                self.folder,
                key.parse_variable or key.parse,
            )
            for key in TABLES[table]
            if key.variable in variables
        }

    def refuse_doubles(self, values: Values) -> None:
        for key, other in _SECRETS:
            if key in values and other in values:
                self.mistakes.append(
                    f"{values[key].place}: found {values[other].place} beside it, expected only one"
                )

    def parse(self, values: Values) -> dict[str, Any]:
        """Return what can be parsed."""
        found: dict[str, Any] = {}
        for name, value in values.items():
            try:
                found[name] = value.parse(value)
            except ConfigError as error:
                self.mistakes.append(str(error))
        return found

    def read_api(self, values: Values, file: Path | None) -> ApiSettings:
        found = self.parse(values)
        url = parse_http_url(found.get("url", ""))
        allows_http = found.get("allow_insecure_http", "allow_insecure_http" in values)
        if url and is_readable_on_the_way(url) and not allows_http:
            insecure = values["url"].wrong(
                "https: http would show the password to the network (allow_insecure_http = true in"
                f" {'[[api]]' if 'name' in values else '[api]'} permits it)"
            )
            self.mistakes.append(str(insecure))
        # What is wrong counts as given, so that nobody calls it missing as well.
        given = {name: Secret(value.place) for name, value in values.items()}
        secrets = given | found
        email, password = (secrets.get(key) or secrets.get(other) for key, other in _SECRETS)
        return ApiSettings(
            found.get("url", "" if "url" in values else None),
            email,
            password,
            file,
            connections=found.get("connections", API_CONNECTIONS),
            name=found.get("name", ""),
        )

    def read_token(self, values: Values, place: str, origin: str) -> TokenSettings:
        """Return one token's settings, checked against each other."""
        found = self.parse(values)
        self.mistakes += (
            f"{place} {key.name}: found nothing, expected {key.expected}"
            for key in REQUIRED_KEYS
            if key.name not in values
        )
        token = TokenSettings(origin=origin, **{"name": place, "stores": (), **found})
        if not (values.keys() - found.keys()) & RELATED:
            self.mistakes += map(str, find_contradictions(token, values))
        return spread_out(token)

    def refer_to_api(
        self, token: TokenSettings, values: Values, place: str, names: list[str]
    ) -> TokenSettings:
        """Return the token with an API that there is."""
        expected = f"one of: {', '.join(names)}"
        if names == [""]:
            if "api" in values:
                several = "nothing beside [api]; several APIs have an [[api]] each"
                self.mistakes.append(str(values["api"].wrong(several)))
        elif "api" not in values:
            self.mistakes.append(f"{place} api: found nothing, expected {expected}")
        elif token.api and token.api not in names:  # what is no name is told already
            wrong = values["api"].wrong(nearest(token.api, names) or expected)
            self.mistakes.append(str(wrong))
        return token if token.api in names else token._replace(api=names[0])


def find_unknown(names: Collection[str], known: Collection[str], place: str) -> Iterator[str]:
    for name in names:
        if name not in known:
            expected = nearest(name, known) or f"one of: {', '.join(known)}"
            yield f"{place} {name}: found an unknown key, expected {expected}"


def with_variables(in_file: Values, variables: Values) -> Values:
    """Let the environment win; its e-mail or password replaces a file's `…_file`, too."""
    replaced = {key for pair in _SECRETS if variables.keys() & pair for key in pair}
    return {key: value for key, value in in_file.items() if key not in replaced} | variables


def find_contradictions(token: TokenSettings, values: Values) -> Iterator[ConfigError]:
    """Yield what is wrong with `values`, out of which the token was made, beside each other."""
    if token.renew_before < token.rotation_timeout:  # it would expire while it is rotated
        least = in_words(token.rotation_timeout)
        yield values["renew_before"].wrong(f"at least rotation_timeout ({least})")
    if _longest_grace(token.retire) > token.validity:
        yield values["retire"].wrong(f"at most validity ({in_words(token.validity)})")
    renewed_at = token.validity - token.renew_before
    if token.max_age is not None and token.max_age < renewed_at:
        expected = f"at least validity less renew_before ({in_words(renewed_at)})"
        yield values["max_age"].wrong(expected)
    if token.validity <= token.renew_before:  # each new token would be due at once
        if "validity" in values:
            expected = f"more than renew_before ({in_words(token.renew_before)})"
            yield values["validity"].wrong(expected)
        else:
            yield values["renew_before"].wrong(f"less than validity ({in_words(token.validity)})")


def _longest_grace(retire: timedelta | Unused | None) -> timedelta:
    if isinstance(retire, Unused):
        return retire.at_most or retire.quiet
    return retire or timedelta()
