"""`rotator init`: asks, tests each answer, and writes the settings and what runs the rotator."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from rotator.cli import exit_codes, options, output
from rotator.cli.init import saving
from rotator.cli.init.asking import Nobody, Person
from rotator.cli.init.deployment import Runner
from rotator.cli.init.document import read_tables
from rotator.cli.init.interview import Given, Interview, Target
from rotator.cli.init.outcome import prepare
from rotator.config.keys import CONFIG, STORE
from rotator.config.loader import DEFAULT_FILE, load_settings
from rotator.errors import ConfigError
from rotator.files import require_ordinary
from rotator.stores.port import current_folder


@options.examples("rotator init", "rotator init --store dotenv:.env --run-by systemd")
@click.command("init")
@click.option("--url", help="The API's URL, which ends in /api.")
@click.option("--email", help="The admin's e-mail.")
@click.option("--password-file", help="A file with the admin's password, or for it.")
@click.option("--store", "stores", multiple=True, help="A store of the token; may be repeated.")
@click.option("--name", help="The token's name.")
@click.option("--api", metavar="NAME", help="The token's API, if the config has several.")
@click.option("--renew-before", metavar="DURATION", help="When it is renewed [default: 7d].")
@click.option("--env", "as_variables", is_flag=True, help="Print variables, and write no config.")
@click.option(
    "--run-by",
    "runner",
    type=click.Choice([str(each) for each in Runner]),
    help="What shall run the rotator.",
)
@click.option(
    "--files",
    type=click.Path(path_type=Path),
    default="nocturna-rotator",
    help="Folder to make [default: nocturna-rotator].",
)
@click.option("--untested", is_flag=True, help="Also take what cannot be reached from here.")
@options.with_config()
def command(config: Path | None, files: Path, stores: tuple[str, ...], **given: object) -> int:
    """Set up the rotator by answering a few questions.

    Tests each answer at once: the API, the admin's login and rights, whether each store can be read
    and written, and whether the token is renewed in time. Writes a commented rotator.toml, or adds
    a [[token]] to the one that is there; or prints environment variables. A password is never
    written there: it goes into a file of its own. For cron, systemd, Docker Compose or Helm it
    writes their files, filled in.

    Options answer in advance. Without a terminal nothing is asked: what is missing is an error.

    Exits 0 when all is written, 1 when a test failed, 2 when an answer is missing or wrong. Until
    all is answered nothing is written.
    """
    cwd = current_folder()
    variables = options.take_variables()
    path = cwd / (config or variables.get(CONFIG) or DEFAULT_FILE)
    target = Target(path, variables)
    if given["as_variables"]:
        _refuse(given, ["name"], "--env prints the variables of one token, which has no name")
    else:
        saving.require_folder(path)
    if not given["as_variables"] and (text := _read(path)) is not None:
        existing = load_settings(path, variables, cwd)  # tells first what is wrong with the file
        _refuse(given, ["url", "email", "password_file"], f"{path} has its [api] already")
        target = Target(path, variables, text, existing, read_tables(text).get("defaults", {}))
    else:
        _refuse(given, ["api"], "a new config has one API, without a name")
    asker = Person() if sys.stdin is not None and sys.stdin.isatty() else Nobody()
    wanted = Given(stores=stores, **given)  # type: ignore[arg-type] # click checks them
    answers = Interview(asker, wanted, target).hold()
    outcome = prepare(answers, target, cwd / files)
    outcome.write()
    output.write(outcome.describe())
    if STORE in variables and not answers.as_variables:
        asker.tell(f"{STORE} is set and wins over {path.name}: unset it")
    return exit_codes.OK


def _refuse(given: Mapping[str, object], without_use: Iterable[str], why: str) -> None:
    """Raise `ConfigError` where an option is given that would change nothing."""
    if found := [f"--{name.replace('_', '-')}" for name in without_use if given[name]]:
        raise ConfigError(f"init: {why}: leave out {' and '.join(found)}")


def _read(path: Path) -> str | None:
    """Return the text of a config that is there."""
    try:
        require_ordinary(path)  # else its place is nothing for a config, and may have no end
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path}: cannot read it: {why}") from None
