"""Files of variables, such as a bot's `.env`, in the place of a command's environment."""

import io
from collections.abc import Iterator
from pathlib import Path

from rotator.errors import ConfigError, has_token, one_line
from rotator.files import read_small_text

ENV_FILE = ".env"


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of a file as python-dotenv reads them; `$` and `${}` stay as they are.

    Service tokens are left out: they are read from stores, and no program that we start should
    inherit one. Raises `ConfigError` for a file that cannot be read or understood.
    """
    shown = one_line(str(path))
    try:
        return dict(_read_variables(path))
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise ConfigError(f"--env-file: cannot read {shown}: {why}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--env-file: {shown} is not UTF-8 text") from None
    except ValueError as error:
        raise ConfigError(f"--env-file: {shown}: {error}") from None


def has_variable(path: Path, name: str) -> bool:
    """Tell whether a file sets a variable; what cannot be read does not."""
    try:
        return name in dict(_read_variables(path))
    except (OSError, ValueError):
        return False


def _read_variables(path: Path) -> Iterator[tuple[str, str]]:
    from dotenv.parser import parse_stream  # noqa: PLC0415 - few have such a file

    for binding in parse_stream(io.StringIO(read_small_text(path, "utf-8-sig"))):
        if binding.error or "\0" in binding.original.string:
            line = binding.original.line
            raise ValueError(f"line {line} cannot be parsed, expected NAME=value or a comment")
        if binding.key and binding.value and not has_token(binding.value):
            yield binding.key, binding.value
