"""What runs the rotator: the files of cron/, examples/ and helm/, filled in for these settings."""

import json
import os
import pwd
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from rotator.clock import in_words
from rotator.errors import ConfigError
from rotator.files import find_foreign_folder
from rotator.stores.port import path_of_file_store

_PACKAGE = Path(__file__).parents[2]
_BETWEEN_RUNS = timedelta(hours=6)  # as in the crontab, the timer and the chart
_HOMES = ("/home", "/root", "/run/user")  # what ProtectHome= hides
# Where the stores are, for those who run the rotator elsewhere; credentials are not among them.
_PLACES = (
    *("VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_AUTH_METHOD", "VAULT_ROLE"),
    *("BAO_ADDR", "BAO_NAMESPACE", "BAO_AUTH_METHOD", "BAO_ROLE"),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"),
)
# The same, as files of this machine, which a container does not see.
_FILES = ("VAULT_CACERT", "BAO_CACERT", "AWS_CONFIG_FILE", "KUBECONFIG", "REQUESTS_CA_BUNDLE")
ENVIRONMENT = "environment"  # of cron and systemd; it holds what others need not know
_UNQUOTABLE = frozenset('"\\$`\n\r')


class Runner(StrEnum):
    CRON = "cron"
    SYSTEMD = "systemd"
    COMPOSE = "compose"
    HELM = "helm"
    NOTHING = "nothing"


TITLES = {
    Runner.CRON: "cron, four times a day",
    Runner.SYSTEMD: "systemd, four times a day",
    Runner.COMPOSE: "Docker Compose, as a daemon",
    Runner.HELM: "Kubernetes, four times a day, by the Helm chart",
    Runner.NOTHING: "nothing yet",
}


class Site(NamedTuple):
    """What is to be run, and where: all paths are absolute.

    `variables` are the settings: `ROTATOR_CONFIG`, or those of one token. `tables` are the same as
    a rotator.toml. `stores` are the canonical URLs of all stores.
    """

    variables: Mapping[str, str]
    tables: Mapping[str, Any]
    stores: Sequence[str]
    password_file: Path | None
    folder: Path
    environ: Mapping[str, str]

    def find_places(self, names: Sequence[str] = _PLACES) -> dict[str, str]:
        """Return the variables that say where the stores are."""
        found = {name: self.environ[name] for name in names if self.environ.get(name)}
        return {name: text for name, text in found.items() if not _UNQUOTABLE & set(text)}

    @property
    def store_folders(self) -> list[str]:
        files = filter(None, map(path_of_file_store, self.stores))
        return sorted({str(file.parent) for file in files})


class Deployment(NamedTuple):
    """Files by their name, and the commands that put them into use."""

    files: Mapping[str, str]
    commands: Sequence[str]


def refuse_unfit(runner: Runner, renew_before: timedelta, stores: Sequence[str]) -> None:
    """Raise `ConfigError` for what cannot run these tokens in time, or cannot reach them."""
    if runner in (Runner.CRON, Runner.SYSTEMD, Runner.HELM) and renew_before < 2 * _BETWEEN_RUNS:
        raise ConfigError(
            f"{runner} looks every {in_words(_BETWEEN_RUNS)}: found a renew_before of"
            f" {in_words(renew_before)}, expected at least {in_words(2 * _BETWEEN_RUNS)}, as one"
            f" run may fail; {Runner.COMPOSE} has the daemon, which looks in time"
        )
    if runner in (Runner.CRON, Runner.SYSTEMD, Runner.COMPOSE):
        _refuse_root(runner, stores)
    if runner is Runner.HELM and any(map(path_of_file_store, stores)):
        raise ConfigError(
            "helm: found a .env file, expected another store: a file would be gone with its pod"
            " (docs/kubernetes.md says how to mount one)"
        )


def _refuse_root(runner: Runner, stores: Sequence[str]) -> None:
    """Raise `ConfigError` if root would write in the folder of another user, who owns the bot."""
    for path in filter(None, map(path_of_file_store, stores)):
        if (found := find_foreign_folder(path)) is None:
            continue
        folder, owner = found
        try:
            user = pwd.getpwuid(owner).pw_name
        except KeyError:
            user = f"'#{owner}'"
        raise ConfigError(
            f"{runner}: this is root, and user {user} owns {folder!r} and could lead a write to any"
            f" file: set it up as that user: sudo -u {user} rotator init"
        )


def fill_in(runner: Runner, site: Site) -> Deployment:
    """Return the shipped files for this site."""
    makers = {
        Runner.CRON: _fill_crontab,
        Runner.SYSTEMD: _fill_units,
        Runner.COMPOSE: _fill_compose,
        Runner.HELM: _fill_values,
    }
    return makers[runner](site) if runner in makers else Deployment({}, ())


def shipped(name: str) -> Path:
    """Return a file or folder of the repository, which a wheel has in `rotator/shipped`."""
    installed = _PACKAGE / "shipped" / name
    return installed if installed.exists() else _PACKAGE.parent / name


def _fill_crontab(site: Site) -> Deployment:
    environment = site.folder / ENVIRONMENT
    # cron takes a % for the end of the line.
    quoted = shlex.quote(str(environment)).replace("%", r"\%")
    text = _replace(
        shipped("cron/rotator.crontab").read_text("utf-8"),
        ("PATH=/opt/nocturna-rotator/bin:", f"PATH={_programs()}:"),
        (
            (
                "# File names only: the contents never appear in an environment or on a command"
                " line.\n"
                "NOCTURNA_ADMIN_EMAIL_FILE=/etc/nocturna-rotator/admin-email\n"
                "NOCTURNA_ADMIN_PASSWORD_FILE=/etc/nocturna-rotator/admin-password\n\n"
            ),
            "",
        ),
        ("/etc/nocturna-rotator/environment", quoted),
        (" rotator { sleep", f" {_user()} {{ sleep"),
    )
    crontab = site.folder / "rotator.crontab"
    install = f"sudo install -m 644 {shlex.quote(str(crontab))} /etc/cron.d/nocturna-rotator"
    return Deployment({crontab.name: text, environment.name: _environment(site)}, [install])


def _fill_units(site: Site) -> Deployment:
    environment = site.folder / ENVIRONMENT
    text = _replace(
        shipped("cron/rotator.service").read_text("utf-8"),
        ("/opt/nocturna-rotator/bin/rotator", f"{_programs()}/rotator"),
        ("User=rotator\n", f"User={_user()}\n"),
        ("/etc/nocturna-rotator/environment", str(environment).replace("%", "%%")),
        (
            "# Root reads these two files and passes copies",
            "# Root reads this file and passes a copy",
        ),
        ("LoadCredential=admin-email:/etc/nocturna-rotator/admin-email\n", ""),
        ("Environment=NOCTURNA_ADMIN_EMAIL_FILE=%d/admin-email\n", ""),
        (
            (
                "LoadCredential=admin-password:/etc/nocturna-rotator/admin-password\n"
                "Environment=NOCTURNA_ADMIN_PASSWORD_FILE=%d/admin-password\n"
            ),
            _credential(site.password_file),
        ),
        ("ReadWritePaths=-/srv/luna\n", _paths("ReadWritePaths", site.store_folders)),
    )
    in_homes = [name for name in site.store_folders if _is_in_home(name)]
    read_only = [sys.prefix, sys.base_prefix, site.variables.get("ROTATOR_CONFIG", "")]
    hidden = [name for name in dict.fromkeys(read_only) if _is_in_home(name)]
    if in_homes or hidden:
        shown = _paths("BindReadOnlyPaths", hidden) + _paths("BindPaths", in_homes)
        text = _replace(text, ("\nProtectHome=yes\n", f"\nProtectHome=tmpfs\n{shown}"))
    files = {
        "rotator.service": text,
        "rotator.timer": shipped("cron/rotator.timer").read_text("utf-8"),
        environment.name: _environment(site),
    }
    units = (shlex.quote(str(site.folder / name)) for name in files if name != environment.name)
    return Deployment(
        files,
        [
            f"sudo install -m 644 {' '.join(units)} /etc/systemd/system/",
            "sudo systemctl daemon-reload",
            "sudo systemctl enable --now rotator.timer",
        ],
    )


def _fill_compose(site: Site) -> Deployment:
    whole = shipped("examples/compose.yaml").read_text("utf-8")
    service, _, rest = whole.partition("\n  bot:\n")
    volumes, _, secrets = rest.partition("\nvolumes:\n  token: {}\n")
    if not volumes:
        raise AssertionError("examples/compose.yaml has another form")
    password = "/run/secrets/admin_password"  # noqa: S105 - where Compose mounts it
    given = dict(site.variables) | site.find_places()
    if site.password_file:
        given["NOCTURNA_ADMIN_PASSWORD_FILE"] = password
    mounts = [f"{name}:{name}" for name in site.store_folders]
    if config := site.variables.get("ROTATOR_CONFIG"):
        mounts.append(f"{config}:{config}:ro")
    head, _, _ = service.partition("    environment:\n")
    *_, tail = service.rpartition("    restart:")
    text = _replace(
        head.partition("name: luna")[2],
        ("    build: ..\n    image: &image nocturna-rotator\n", _IMAGE),
    )
    lines = [
        f"name: rotator{text}    environment:",
        *(f"      {name}: {_escape(value)}" for name, value in given.items()),
        *(["    secrets: [admin_password]"] if site.password_file else []),
        *(["    volumes:", *(f"      - {_escape(each)}" for each in mounts)] if mounts else []),
        f"    restart:{tail}",
    ]
    if site.password_file:
        file = _escape(str(site.password_file))
        lines.append(_replace(secrets, ("file: admin_password", f"file: {file}")).rstrip("\n"))
    compose = site.folder / "compose.yaml"
    return Deployment(
        {compose.name: "\n".join(lines) + "\n"},
        [f"docker compose -f {shlex.quote(str(compose))} up -d"],
    )


def _escape(text: str) -> str:
    """Write a text for Compose, which would put a variable into the place of `$NAME`."""
    return json.dumps(text, ensure_ascii=False).replace("$", "$$")


_IMAGE = f"""\
    # Published nowhere: docker build -t nocturna-rotator, in a copy of the rotator's repository.
    image: nocturna-rotator
    user: "{os.getuid()}:{os.getgid()}" # who may read the password, and write the .env file
"""


def _fill_values(site: Site) -> Deployment:
    text = shipped("helm/rotator/ci/kind-cronjob-values.yaml").read_text("utf-8")
    api = {"url": site.tables["api"]["url"], "admin_email": site.tables["api"]["admin_email"]}
    config = {"api": api, "defaults": site.tables.get("defaults"), "tokens": site.tables["token"]}
    lines = [
        "# Published nowhere: build it from the Dockerfile, and push it to your own registry.",
        "image:",
        "  repository: registry.example.com/nocturna-rotator # <-",
        text.partition("config:\n")[0] + "config:",
        # JSON is YAML.
        *(f"  {name}: {json.dumps(each)}" for name, each in config.items() if each),
    ]
    if places := site.find_places():
        lines.append("extraEnv: # credentials of a store: see docs/kubernetes.md")
        lines += (
            f"  - {{name: {name}, value: {json.dumps(value)}}}" for name, value in places.items()
        )
    values = site.folder / "values.yaml"
    create = "kubectl --namespace nocturna create secret generic"
    password, chart, file = (
        shlex.quote(str(each))
        for each in (site.password_file or "PASSWORD_FILE", shipped("helm/rotator"), values)
    )
    return Deployment(
        {values.name: "\n".join(lines) + "\n"},
        [
            "kubectl create namespace nocturna",
            f"{create} nocturna-admin --from-file=password={password}",
            f"helm install rotator {chart} --namespace nocturna --values {file}",
        ],
    )


def _environment(site: Site) -> str:
    head, _, _ = shipped("cron/environment").read_text("utf-8").partition("NOCTURNA_API_URL=")
    head = _replace(head, ("/etc/nocturna-rotator/environment", str(site.folder / ENVIRONMENT)))
    given = dict(site.variables) | site.find_places((*_PLACES, *_FILES))
    for name, value in given.items():
        if _UNQUOTABLE & set(value):
            raise ConfigError(f'{name}: found one of " \\ $ ` in it, expected a value without them')
    return head + "".join(f'{name}="{value}"\n' for name, value in given.items())


def _credential(file: Path | None) -> str:
    if file is None:
        return ""
    escaped = str(file).replace("%", "%%")
    return (
        f"LoadCredential=admin-password:{escaped}\n"
        "Environment=NOCTURNA_ADMIN_PASSWORD_FILE=%d/admin-password\n"
    )


def _paths(setting: str, paths: Sequence[str]) -> str:
    return "".join(
        f"{setting}={json.dumps(name, ensure_ascii=False).replace('%', '%%')}\n" for name in paths
    )


def _is_in_home(name: str) -> bool:
    return any(Path(name).is_relative_to(home) for home in _HOMES)


def _programs() -> str:
    return str(Path(sys.executable).parent)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _replace(text: str, *changes: tuple[str, str]) -> str:
    """Put each second text into the place of the first, which must be there."""
    for old, new in changes:
        if old not in text:
            raise AssertionError(f"a shipped file has no {old!r} any more")
        text = text.replace(old, new)
    return text
