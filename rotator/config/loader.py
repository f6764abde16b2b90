"""From a TOML file or the environment to settings, with one line for each mistake."""

from collections.abc import Mapping
from pathlib import Path

from rotator.config import environment
from rotator.config.keys import API_KEYS, TOKEN_KEYS, read_api, read_name, read_stored, read_token
from rotator.config.keys import KEY as STORED
from rotator.config.section import Section
from rotator.config.settings import Settings, TokenSettings
from rotator.errors import ConfigError, quote_value

_TOP = ("api", "defaults", "token")
DEFAULT_FILE = "rotator.toml"
_STORES = 'a list of store URLs such as ["dotenv:.env"]'


def load_settings(config: Path | None, variables: Mapping[str, str], cwd: Path) -> Settings:
    """Read the file `config` or `$ROTATOR_CONFIG`, else `$ROTATOR_STORE`, else `rotator.toml`.

    `NOCTURNA_…` variables count with all of them, and win over a file's `[api]`. Raises
    `ConfigError`: one line with the place, the key, what was found and what was expected.
    """
    environment.refuse_misspelled(variables)
    named = config or environment.named_file(variables)
    if named is not None:
        return _load_file(named, cwd, variables)
    if not environment.names_a_store(variables) and (cwd / DEFAULT_FILE).is_file():
        return _load_file(Path(DEFAULT_FILE), cwd, variables)
    return environment.load_environment(variables, cwd)


def _load_file(path: Path, cwd: Path, variables: Mapping[str, str]) -> Settings:
    """Read a config; relative files in it start at its own folder."""
    environment.refuse_token_variables(variables, str(path))
    config = Section(_parsed(path, cwd), lambda key: f"{path}: {key}").only(_TOP)
    folder = (cwd / path).parent
    api = Section(config.table("api"), lambda key: f"{path}: [api] {key}").only(API_KEYS)
    if stored := read_stored(api, folder):
        api = Section({**api.values, STORED: stored}, api.place)
    defaults = Section(config.table("defaults"), lambda key: f"{path}: [defaults] {key}")
    defaults.only(TOKEN_KEYS)
    tables = config.tables("token")
    tokens = tuple(
        _token(str(path), table, number, defaults, folder) for number, table in enumerate(tables, 1)
    )
    _refuse_twins(tokens)
    return Settings(read_api(_overridden(api, variables), folder, path), tokens, folder)


def _overridden(api: Section, variables: Mapping[str, str]) -> Section:
    """Let the environment win; a value of its own also stands above a file's `…_file`."""
    given = environment.api(variables)
    pairs = [(key, f"{key}_file") for key in ("admin_email", "admin_password")]
    taken = {key for pair in pairs if any(key in given for key in pair) for key in pair}
    kept = {key: value for key, value in api.values.items() if key not in taken}
    return given.over(Section(kept, api.place))


def _token(
    path: str, table: Mapping[str, object], number: int, defaults: Section, folder: Path
) -> TokenSettings:
    name = table.get("name")
    origin = f"{path}: [[token]] {quote_value(name) if isinstance(name, str) else number}"
    section = Section(table, lambda key: f"{origin} {key}").only(("name", "stores", *TOKEN_KEYS))
    stores = section.texts("stores", _STORES)
    name = read_name(section)
    return read_token(section.over(defaults), name, f"{origin} stores", stores, folder)


def _refuse_twins(tokens: tuple[TokenSettings, ...]) -> None:
    names = [token.name for token in tokens]
    for index, token in enumerate(tokens):
        if token.name in names[:index]:
            place = token.origin.removesuffix(" stores")
            raise ConfigError(
                f"{place} name: found a second token of this name, expected another name"
            )


def _parsed(path: Path, cwd: Path) -> dict[str, object]:
    import tomllib  # noqa: PLC0415 - one token needs no file

    try:
        return tomllib.loads((cwd / path).read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read it: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: found bytes that are not UTF-8, expected TOML") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: found broken TOML: {error}") from None
    except (ValueError, RecursionError):  # a number of 5,000 digits, a list 1,000 deep
        raise ConfigError(f"{path}: found TOML that is too large, expected settings") from None
