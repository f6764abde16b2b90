"""What comes of the answers: files, written all or none, and the commands that come next."""

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from rotator import wiring
from rotator.cli.init import document, saving
from rotator.cli.init.deployment import ENVIRONMENT, TITLES, Deployment, Runner, Site, fill_in
from rotator.cli.init.interview import Answers, Target
from rotator.config.keys import CONFIG
from rotator.config.loader import DEFAULT_FILE, ONLY_TOKEN


class Outcome(NamedTuple):
    """All that is to be written; `config` is None where variables are printed instead.

    `before` is the config that is there, `exports` are lines for a shell.
    """

    answers: Answers
    path: Path
    before: str | None
    config: str | None
    exports: str
    deployment: Deployment
    files: Path

    def write(self) -> None:
        """Write all of it, or nothing: raises `ConfigError`."""
        with ExitStack() as undo:
            if self.answers.password and self.answers.password_file:
                file = self.answers.password_file
                saving.write_new(file, f"{self.answers.password}\n", saving.PRIVATE)
                undo.callback(file.unlink)
            if self.deployment.files:
                saving.make_folder(self.files)
                undo.callback(self.files.rmdir)
            for name, text in self.deployment.files.items():
                mode = saving.PRIVATE if name == ENVIRONMENT else saving.PUBLIC
                saving.write_new(self.files / name, text, mode)
                undo.callback((self.files / name).unlink)
            if self.config is not None and self.before is None:
                saving.write_new(self.path, self.config, saving.PRIVATE)
            elif self.config is not None and self.before is not None:
                saving.rewrite(self.path, self.config, self.before)
            undo.pop_all()

    def describe(self) -> str:
        """Say what was written and what comes next; to a shell all but the variables is comment."""
        lines = []
        if self.answers.password:
            lines.append(f"wrote {self.answers.password_file} (mode 0600)")
        if self.config is not None:
            lines.append(f"wrote {self.path}" + ("" if self.before else " (mode 0600)"))
        lines += (f"wrote {self.files / name}" for name in self.deployment.files)
        lines.append(f"next: {self._next()}")
        if self.answers.runner is not Runner.NOTHING:
            lines.append(f"then, to have it run by {TITLES[self.answers.runner]}:")
            lines += (f"  {command}" for command in self.deployment.commands)
            if self.answers.password_file is None:
                lines.append("  and give it the admin's password, which only this environment has")
        if self.config is not None:
            lines.append("for another bot: rotator init again")
        begin = "# " if self.exports else ""
        return self.exports + "".join(f"{begin}{line}\n" for line in lines)

    def _next(self) -> str:
        words = ["rotator", "rotate"]
        if self.config is not None and self.path != Path.cwd() / DEFAULT_FILE:
            words += ["--config", str(self.path)]
        if self.before is not None:
            words.append(str(self.answers.token["name"]))
        return shlex.join(words)


def prepare(answers: Answers, target: Target, files: Path) -> Outcome:
    """Compose all texts; nothing is written. Raises `ConfigError` for what cannot be written."""
    path, before, existing = target.path, target.text, target.existing
    config, exports = None, ""
    if answers.as_variables:
        variables = document.as_variables(answers.api, answers.token)
        exports = document.as_exports(variables)
        token = {"name": ONLY_TOKEN, **answers.token}
        tables: dict[str, Any] = {"api": dict(answers.api), "token": [token]}
    else:
        variables = {CONFIG: str(path)}
        if before is None:
            config = document.new_document(answers.api, answers.token)
        else:
            config = document.add_token(before, answers.token)
        tables = document.read_tables(config)
    urls = list(answers.urls)
    if existing:
        stores = wiring.open_stores(existing)[0]
        urls += (store.url for opened in stores.values() for store in opened)
        email = existing.apis[0].admin_email
        tables["api"] = {"url": existing.apis[0].url, "admin_email": email.get() if email else ""}
    site = Site(variables, tables, urls, answers.password_file, files, target.environ)
    deployment = fill_in(answers.runner, site)
    if deployment.files:
        saving.refuse_existing(files)
    return Outcome(answers, path, before, config, exports, deployment, files)
