"""The questions of `rotator init`, in their order; nothing is written here."""

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from rotator import wiring
from rotator.cli.init import trials
from rotator.cli.init.asking import Asker, choose, confirm, settle
from rotator.cli.init.deployment import TITLES, Runner, refuse_unfit
from rotator.cli.init.saving import refuse_existing
from rotator.config.settings import ApiSettings, Secret, Settings
from rotator.errors import ConfigError, RotatorError, one_line
from rotator.stores.port import DEFAULT_FIELD
from rotator.stores.registry import Backends
from rotator.wiring import selection

_INTRODUCTION = """\
This sets up the rotator. Each answer is tested at once, and changes nothing; files are written at \
the end. Ctrl-C ends it."""
_KINDS = {
    "a .env file": "dotenv",
    "Vault or OpenBao": "vault",
    "AWS Secrets Manager": "aws-secretsmanager",
    "a Kubernetes Secret": "kubernetes",
}
_OUTSIDE_NAMES = re.compile("[^A-Za-z0-9._-]+")
_FILE, _VARIABLES = "a rotator.toml", "environment variables"


class Given(NamedTuple):
    """What options say, instead of answers; None where they say nothing."""

    url: str | None = None
    email: str | None = None
    password_file: str | None = None
    stores: tuple[str, ...] = ()
    name: str | None = None
    renew_before: str | None = None
    as_variables: bool = False
    runner: str | None = None
    api: str | None = None
    untested: bool = False


class Target(NamedTuple):
    """The config that is to be written, and what is there: its text and settings, or None.

    `defaults` are the values in its [defaults]. `environ` are the variables of this process.
    """

    path: Path
    environ: Mapping[str, str]
    text: str | None = None
    existing: Settings | None = None
    defaults: Mapping[str, Any] = {}


class Answers(NamedTuple):
    """What was answered, as a file holds it. `api` is empty where a config has one already.

    A `password` is still to be written into `password_file`, which is absolute; without either, the
    password is in the environment. `urls` are the canonical URLs of the token's stores.
    """

    api: Mapping[str, str]
    password: str | None
    password_file: Path | None
    token: Mapping[str, str | list[str]]
    urls: tuple[str, ...]
    as_variables: bool
    runner: Runner


class Interview:
    """Asks about a new config, or about a token more in the one that is there."""

    def __init__(self, asker: Asker, given: Given, target: Target) -> None:
        self._asker = asker
        self._given = given
        self._folder = target.path.parent
        self._environ = target.environ
        self._existing = target.existing
        self._defaults = target.defaults
        self._password: str | None = None
        self._password_file: Path | None = None

    def hold(self) -> Answers:
        """Ask all questions; where nobody is there, raises `ConfigError` or what a trial raises."""
        self._refuse_missing()
        if self._asker.is_there:
            self._asker.tell(_INTRODUCTION)
        if self._existing is None:
            api = self._ask_about_api()
        else:
            own_api = self._choose_api(self._existing)
            api = self._try_existing_api(own_api)
        stores, urls = self._ask_stores()
        as_variables = self._existing is None and self._ask_form()
        token: dict[str, str | list[str]] = {}
        if not as_variables:
            token["name"] = self._ask_name(urls[0])
        if self._existing and own_api.name not in ("", self._defaults.get("api")):
            token["api"] = own_api.name
        token["stores"] = urls if as_variables else stores
        renew_before = self._ask_renewal()
        if self._existing is None or renew_before != self._usual_renewal():
            token["renew_before"] = renew_before
        if as_variables and self._password_file:
            api["admin_password_file"] = str(self._password_file)
        runner = self._ask_runner(renew_before, urls)
        return Answers(
            *(api, self._password, self._password_file, token, tuple(urls), as_variables, runner)
        )

    def _refuse_missing(self) -> None:
        """Name all options at once that nobody is there to be asked for."""
        needed: dict[str, object] = {"--store": self._given.stores}
        if self._existing and len(self._existing.apis) > 1:
            needed["--api"] = self._given.api or self._defaults.get("api")
        if self._existing is None:
            needed |= {
                "--url": self._given.url or self._environ.get("NOCTURNA_API_URL"),
                "--email": self._given.email or self._environ.get("NOCTURNA_ADMIN_EMAIL"),
                "--password-file": self._given.password_file
                or self._environ.get("NOCTURNA_ADMIN_PASSWORD_FILE")
                or self._environ.get("NOCTURNA_ADMIN_PASSWORD"),
            }
        missing = [option for option, value in needed.items() if not value]
        if missing and not self._asker.is_there:
            raise ConfigError(f"init: there is no terminal to ask at: give {' and '.join(missing)}")

    def _settle(self, answers: Callable[[], Any], trial: Callable[[Any], str]) -> Any:  # noqa: ANN401 - as the answer
        return settle(self._asker, answers, trial, untested=self._given.untested)

    def _source(self, given: str | None, question: str, default: str = "") -> Callable[[], str]:
        """Return what gives the option's value first, and then asks."""
        left = [given] if given else []
        return lambda: left.pop() if left else self._asker.ask(question, default)

    def _ask_about_api(self) -> dict[str, str]:
        environ, given = self._environ, self._given
        text = self._source(
            *(given.url, "The API's URL (ends in /api)", environ.get("NOCTURNA_API_URL", ""))
        )
        url = self._settle(lambda: trials.read_answer("url", text()), trials.try_url)
        last = given.email or environ.get("NOCTURNA_ADMIN_EMAIL", "")
        is_given = bool(given.email)
        file_of = self._source(
            given.password_file,
            "The file for the admin's password (made with mode 0600 if it is not there)",
            environ.get("NOCTURNA_ADMIN_PASSWORD_FILE") or "admin-password",
        )

        def ask_credentials() -> tuple[str, str, str]:
            nonlocal last, is_given
            text = last if is_given else self._asker.ask("The admin's e-mail", last)
            is_given = False
            last = trials.read_answer("admin_email", text).get()
            return last, *self._ask_password(file_of)

        email, file, _ = self._settle(
            ask_credentials,
            lambda each: trials.try_login(trials.as_settings(url, each[0], each[2])),
        )
        return {"url": url, "admin_email": email} | ({"admin_password_file": file} if file else {})

    def _ask_password(self, file_of: Callable[[], str]) -> tuple[str, str]:
        """Return the password's file, as a config names it, and the password itself."""
        self._password = self._password_file = None
        from_environment = self._environ.get("NOCTURNA_ADMIN_PASSWORD")
        if from_environment and not self._given.password_file:
            self._asker.tell("The password is that of NOCTURNA_ADMIN_PASSWORD.")
            return "", from_environment
        name = _expand(file_of())
        secret: Secret = trials.read_answer("admin_password_file", name, self._folder)
        path = Path(os.path.abspath(secret.file or ""))  # noqa: PTH100 - symlinks stay as they are
        if os.path.lexists(path):
            password = secret.get()
        elif not self._asker.is_there:
            raise ConfigError(
                f"admin_password_file: there is no file {path}, and no terminal to ask for the"
                " password: write the password into that file, with mode 0600"
            )
        else:
            refuse_existing(path)
            password = trials.read_password(self._asker.ask_secret("The admin's password"))
            self._password = password
        self._password_file = path
        return name, password

    def _choose_api(self, existing: Settings) -> ApiSettings:
        """Return the API of the new token, one of those in the config."""
        names = [api.name for api in existing.apis]
        usual = self._defaults.get("api", names[0])
        if self._given.api or len(names) == 1:
            return selection.choose_api(existing, self._given.api)

        def ask() -> str:
            return choose(self._asker, "Which API has it?", names, names.index(usual) + 1)

        def find(name: str) -> str:
            selection.choose_api(existing, name)
            return ""

        return selection.choose_api(existing, str(self._settle(ask, find)))

    def _try_existing_api(self, existing: ApiSettings) -> dict[str, str]:
        """Try the login of the config, which a token more does not change."""
        try:
            self._asker.tell(f"  ok: {trials.try_login(existing)}")
        except RotatorError as error:
            if not (self._given.untested or self._asker.is_there):
                raise
            self._asker.tell(f"  no: {one_line(str(error))}")
            question = "Add a token all the same"
            if not self._given.untested and not confirm(self._asker, question, default=False):
                raise
        if isinstance(existing.admin_password, Secret):
            self._password_file = existing.admin_password.file
        return {}

    def _ask_stores(self) -> tuple[list[str], list[str]]:
        """Return the stores' URLs as they were given, and the canonical ones."""
        owners = self._owners()
        texts: list[str] = []
        urls: list[str] = []
        left = list(self._given.stores)
        while True:
            text = self._settle(
                lambda: left.pop(0) if left else self._ask_store(),
                lambda text: trials.try_store(text, self._folder, owners),
            )
            url = Backends().open(text, self._folder).url
            owners[url] = "this token"
            texts.append(text)
            urls.append(url)
            is_asked = self._asker.is_there and not self._given.stores
            more = is_asked and confirm(
                self._asker, "Another store for the same token", default=False
            )
            if not left and not more:
                return texts, urls

    def _owners(self) -> dict[str, str]:
        """Return the tokens of the existing config by the URLs of their stores."""
        if self._existing is None:
            return {}
        stores = wiring.open_stores(self._existing)[0]
        return {store.url: name for name, opened in stores.items() for store in opened}

    def _ask_store(self) -> str:
        question = "Where does the bot read its token? (a number, or the URL of a store)"
        chosen = choose(self._asker, question, list(_KINDS), 1)
        ask = self._asker.ask
        match _KINDS.get(chosen):
            case "dotenv":
                path = Path.cwd() / _expand(ask("The file", ".env"))
                # Beside the config, so that the folder can be moved.
                is_near = path.is_relative_to(self._folder) and ".." not in path.parts
                near = str(path.relative_to(self._folder)) if is_near else f"//{path}"
                where = _part(near)
                return f"dotenv:{where}{_field(ask('The variable in it', DEFAULT_FIELD))}"
            case "vault":
                path_in = ask("Mount and path, such as secret/bots/luna").strip("/")
                return f"vault://{_part(path_in)}{_field(ask('The field in it', DEFAULT_FIELD))}"
            case "aws-secretsmanager":
                name = ask("The secret's name, such as bots/luna")
                region = self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION")
                region = ask("The region", region or "eu-west-1")
                field = ask("The key in its JSON ('-' if it is the bare token)", DEFAULT_FIELD)
                fragment = "" if field == "-" else f"#{_part(field)}"
                return f"aws-secretsmanager://{_part(name)}?region={_part(region)}{fragment}"
            case "kubernetes":
                namespace = ask("The namespace", "default")
                name = ask("The Secret's name, such as luna-token")
                field = _field(ask("The key in it", DEFAULT_FIELD))
                return f"kubernetes://{_part(namespace)}/{_part(name)}{field}"
        return chosen

    def _ask_form(self) -> bool:
        if self._given.as_variables or not self._asker.is_there or self._given.name:
            return self._given.as_variables
        forms = [_FILE, _VARIABLES]
        return choose(self._asker, "Where shall the settings be?", forms, 1) == _VARIABLES

    def _ask_name(self, url: str) -> str:
        taken = {each.name for each in self._existing.tokens} if self._existing else set()
        text = self._source(self._given.name, "A name for the token", _suggest_name(url))

        def ask() -> str:
            name: str = trials.read_answer("name", text())
            if name in taken:
                raise ConfigError(f"there is a token {name} already, expected another name")
            return name

        return str(self._settle(ask, lambda _: ""))

    def _usual_renewal(self) -> str:
        return str(self._defaults.get("renew_before", "7d"))

    def _ask_renewal(self) -> str:
        question = "Renew it when less is left than"
        text = self._source(self._given.renew_before, question, self._usual_renewal())

        def compare(span: str) -> str:
            return trials.try_renewal({**self._defaults, "renew_before": span})

        return str(self._settle(text, compare))

    def _ask_runner(self, renew_before: str, urls: list[str]) -> Runner:
        span: timedelta = trials.read_answer("renew_before", renew_before)
        if self._existing:
            span = min([span, *(each.renew_before for each in self._existing.tokens)])
        if self._existing and self._existing.apis[0].name:
            if self._given.runner:
                raise ConfigError(
                    "init: found several APIs in the config, expected no --run-by: it places one"
                    " password, and variables for it, so set up what runs it yourself"
                )
            return Runner.NOTHING
        urls = [*urls, *self._owners()]
        left = [Runner(self._given.runner)] if self._given.runner else []

        def ask() -> Runner:
            if left:
                runner = left.pop()
            else:
                by_title = {title: runner for runner, title in TITLES.items()}
                titles = list(by_title)
                chosen = choose(self._asker, "What shall run it?", titles, len(titles))
                if chosen not in by_title:
                    raise ConfigError(f"expected a number from 1 to {len(titles)}")
                runner = by_title[chosen]
            refuse_unfit(runner, span, urls)
            return runner

        return Runner(self._settle(ask, lambda _: ""))


def _expand(name: str) -> str:
    """Put a home into the place of `~`, as a shell does; without one, leave it."""
    return os.path.expanduser(name)  # noqa: PTH111 - pathlib raises for a user that is unknown


def _field(name: str) -> str:
    return "" if name == DEFAULT_FIELD else f"#{_part(name)}"


def _part(text: str) -> str:
    """Write a text as a part of a store's URL."""
    return quote(text, safe="/+,=:~")


def _suggest_name(url: str) -> str:
    """Return the name of the folder, or the last part of the address."""
    parts = url.partition("#")[0].partition("?")[0].split("/")
    part = parts[-2] if url.startswith("dotenv:") and len(parts) > 1 else parts[-1]
    return _OUTSIDE_NAMES.sub("-", part).strip("._-")[:64] or "bot"
