"""CI/CD variables of a GitLab project.

    gitlab://HOST/GROUP/PROJECT#NAME    …?scope=production#NAME

Masked, protected, hidden and the environment scope stay as they are; a variable that is missing is
made, and masked. GitLab shows the value to whoever may write it, unless it is hidden, and never
tells when it was changed: https://docs.gitlab.com/api/project_level_variables/.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from backends.ci import CiAnswer, CiServer, call, no_api
from backends.remote import check_options, name_errors
from rotator.errors import ConfigError, StoreError, quote_value
from rotator.http.urls import is_readable_on_the_way, parse_http_url
from rotator.stores.mirrors import Seen, digest_of
from rotator.stores.port import DEFAULT_FIELD, StoreUrl

_PROJECT = re.compile(r"[0-9]+|[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+")
_NAME = re.compile(r"[A-Za-z0-9_]{1,255}")
_KEPT = ("variable_type", "protected", "masked", "raw", "description")


def open_mirror(url: StoreUrl) -> "GitlabVariable":
    """Return the mirror behind a `gitlab:` URL, without asking GitLab; raises `ConfigError`."""
    return GitlabVariable(GitlabAddress.parse(url))


@dataclass(frozen=True, slots=True)
class GitlabAddress:
    """A variable of a project, for one scope; `*` are all environments."""

    host: str
    project: str
    name: str
    scope: str = "*"

    @classmethod
    def parse(cls, url: StoreUrl) -> "GitlabAddress":
        """Take a URL apart; raises `ConfigError`."""
        check_options(url, "scope")
        host, _, project = url.location.removeprefix("//").partition("/")
        if not url.location.startswith("//") or not host or not _PROJECT.fullmatch(project):
            raise ConfigError(
                f"a gitlab: mirror needs a host and a project, found {quote_value(url.location)}:"
                " write gitlab://gitlab.com/GROUP/PROJECT#NAME"
            )
        name = url.field or DEFAULT_FIELD
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"GitLab takes no variable of the name {quote_value(name)}: use letters, digits and"
                " _"
            )
        scope = url.query.get("scope") or "*"
        if not scope.isprintable():
            raise ConfigError("expected an environment, such as production, after scope=")
        return cls(host.lower(), project.lower(), name, scope)

    @property
    def canonical(self) -> str:
        """The same text for the same variable."""
        scope = "" if self.scope == "*" else f"?scope={quote(self.scope, safe='/')}"
        return f"gitlab://{self.host}/{self.project}{scope}#{self.name}"

    @property
    def base(self) -> str:
        """The API; plain http for a server on this machine alone. Raises `ConfigError`."""
        plain = parse_http_url(f"http://{self.host}/api/v4")
        if plain is None or plain.username:
            raise ConfigError(
                f"found {quote_value(self.host)}, expected the host of a gitlab: mirror"
            )
        scheme = "https" if is_readable_on_the_way(plain) else "http"
        return plain._replace(scheme=scheme).geturl()


class GitlabVariable:
    """A CI/CD variable; see `rotator.stores.mirrors.Mirror` for the promises."""

    def __init__(self, address: GitlabAddress) -> None:
        self.url = address.canonical
        self._address = address
        self._server = CiServer(
            title="GitLab",
            base=address.base,
            variables=("GITLAB_TOKEN",),
            rights="the scope api and the role Maintainer",
            headers={"User-Agent": "nocturna-rotator"},
        )
        self._path = f"/projects/{quote(address.project, safe='')}/variables"

    def push(self, secret: str) -> None:
        with name_errors(self.url):
            found = self._find()
            if found is None:
                made = {"key": self._address.name, "masked": True, "raw": True}
                body = {**made, "value": secret, "environment_scope": self._address.scope}
                self._require(call(self._server, "POST", self._path, body))
                return
            kept = {key: found[key] for key in _KEPT if found.get(key) is not None}
            scope = {"environment_scope": self._address.scope}
            body = {**kept, **scope, "value": secret, "filter": scope}
            self._require(call(self._server, "PUT", f"{self._path}/{self._address.name}", body))

    def seen(self) -> Seen | None:
        """Tell the digest of what is there; nothing of a hidden variable."""
        with name_errors(self.url):
            found = self._find()
            if found is None:
                return None
            value = found.get("value")
            if found.get("hidden") or value is None:
                return Seen()
            if not isinstance(value, str):
                raise no_api(self._server)
        return Seen(digest=digest_of(value))

    def _find(self) -> dict[str, Any] | None:
        params = {"filter[environment_scope]": self._address.scope}
        answer = call(self._server, "GET", f"{self._path}/{self._address.name}", params=params)
        if answer.is_missing:
            message = answer.content.get("message", "") if isinstance(answer.content, dict) else ""
            if "variable" not in str(message).lower():
                raise self._missing()
            return None
        if not isinstance(answer.content, dict) or answer.content.get("key") != self._address.name:
            raise no_api(self._server)
        return answer.content

    def _require(self, answer: CiAnswer) -> None:
        if answer.is_missing:
            raise self._missing()

    def _missing(self) -> StoreError:
        return StoreError(
            "GitLab knows no such project, or hides it from this token: correct the URL, or give"
            f" the token {self._server.rights}"
        )
