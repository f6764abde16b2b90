"""From a file or the environment to settings, with one line for each mistake."""

from collections.abc import Mapping
from pathlib import Path

from rotator.config import environment, loader
from rotator.config.settings import Settings

DEFAULT_FILE = "rotator.toml"


def load(config: Path | None, variables: Mapping[str, str], cwd: Path) -> Settings:
    """Read the file `config` or `$ROTATOR_CONFIG`, else `$ROTATOR_STORE`, else `rotator.toml`.

    `NOCTURNA_…` variables count with all of them, and win over a file's `[api]`. Raises
    `ConfigError`: one line with the place, the key, what was found and what was expected.
    """
    environment.refuse_misspelled(variables)
    named = config or environment.named_file(variables)
    if named is not None:
        return loader.load(named, cwd, variables)
    if not environment.names_a_store(variables) and (cwd / DEFAULT_FILE).is_file():
        return loader.load(Path(DEFAULT_FILE), cwd, variables)
    return environment.load(variables, cwd)
