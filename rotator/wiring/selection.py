"""Which tokens and which API of the settings a command means, by their names and labels."""

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from rotator.config.env_file import ENV_FILE, has_variable
from rotator.config.keys import STORE
from rotator.config.settings import ApiSettings, Label, Settings, TokenSettings
from rotator.errors import ConfigError, offer, quote_value, suggest
from rotator.stores.port import current_folder


def choose(settings: Settings, names: Sequence[str], labels: Collection[Label]) -> list[str]:
    """Return the names of the tokens that have such a name, and all of these labels.

    Raises `ConfigError` where there is none.
    """
    tokens = select(settings, names)
    found = [token.name for token in tokens if set(labels).issubset(token.labels)]
    if not found:
        known = dict.fromkeys(str(label) for token in tokens for label in token.labels)
        unknown = [str(label) for label in labels if str(label) not in known]
        wanted = ", ".join(quote_value(each) for each in unknown or map(str, labels))
        who = "no token of such a name" if names else "no token here"
        if not unknown:
            raise ConfigError(f"{who} has the labels {wanted} at once, expected fewer of them")
        expected = offer(known) if known else "labels in the config"
        raise ConfigError(f"{who} has the label {wanted}, expected {expected}")
    return found


def narrow(settings: Settings, names: Sequence[str], labels: Collection[Label]) -> Sequence[str]:
    """Return the names as they are, where none means all, unless labels choose among them.

    Raises `ConfigError` where there is no such token.
    """
    return choose(settings, names, labels) if labels else names


def choose_apis(settings: Settings, name: str | None) -> Sequence[ApiSettings]:
    """Return all APIs, or the one of this name; raises `ConfigError` where there is none."""
    return settings.apis if name is None else (choose_api(settings, name),)


def choose_api(settings: Settings, name: str | None, tokens: Sequence[str] = ()) -> ApiSettings:
    """Return the API of this name, or that of all these tokens, or the only one.

    Raises `ConfigError` where there is not just one.
    """
    by_name = {api.name: api for api in settings.apis}
    if name is not None and name not in by_name:
        expected = "no --api" if "" in by_name else f"one of: {', '.join(by_name)}"
        raise ConfigError(f"there is no API {quote_value(name)}, expected {expected}")
    given = () if name is None else (name,)
    used = {token.api for token in select(settings, tokens)} if tokens else ()
    wanted = {*given, *used} or set(by_name)
    if len(wanted) > 1:
        names = ", ".join(each for each in by_name if each in wanted)
        few = "the tokens of one" if tokens else "--api with one of them"
        raise ConfigError(f"found several APIs ({names}), expected {few}")
    return by_name[wanted.pop()]


def select(settings: Settings, names: Iterable[str]) -> list[TokenSettings]:
    """Return the named tokens, or all; a name may be a pattern, such as `luna-*`.

    Raises `ConfigError` for a name that no token has, or where there is no token at all.
    """
    tokens = settings.tokens
    if not tokens and (file := settings.apis[0].file):
        raise ConfigError(f"{file}: found no [[token]], expected one for each token")
    if not tokens:
        raise ConfigError(
            "environment: ROTATOR_STORE: found nothing, expected a store URL such as dotenv:.env"
            " (or a rotator.toml with a [[token]] for each token; there is none here)"
            f"{hint_at_env_file(STORE)}"
        )
    by_name = {token.name: token for token in tokens}
    chosen: dict[str, TokenSettings] = {}
    for name in names:
        # Commands name each token of a fleet, and no name of one is a pattern.
        is_name = name in by_name
        found = [name] if is_name else [each for each in by_name if fnmatchcase(each, name)]
        if not found:
            expected = suggest(name, by_name)
            raise ConfigError(f"there is no token {quote_value(name)}, expected {expected}")
        chosen |= {each: by_name[each] for each in found}
    return list(chosen.values()) or list(tokens)


def hint_at_env_file(variables: str) -> str:
    """Say what to write where ./.env, which is not read by itself, has one of these variables."""
    folder = current_folder()
    for name in variables.split(" or "):
        if has_variable(folder / ENV_FILE, name):
            return f"; the file {ENV_FILE} here has {name}: add --env-file {ENV_FILE}"
    return ""
