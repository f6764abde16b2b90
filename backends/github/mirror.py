"""Secrets of GitHub Actions: of a repository, of one of its environments, or of an organisation.

    github-actions://OWNER/REPO#NAME    …?environment=prod#NAME    github-actions://ORG#NAME

A secret is encrypted for GitHub before it is sent, and nobody can read it there again; GitHub tells
when it was changed: https://docs.github.com/rest/actions/secrets.
"""

import base64
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from backends.ci import CiServer, call, no_api
from backends.remote import check_options, name_errors, require_module
from rotator.errors import ConfigError, StoreError, quote_value
from rotator.http.urls import is_readable_on_the_way, parse_http_url
from rotator.stores.mirrors import Seen
from rotator.stores.port import DEFAULT_FIELD, StoreUrl

_PART = re.compile(r"[A-Za-z0-9_.-]{1,100}")
# https://docs.github.com/actions/reference/security/secrets
_NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]{0,254}")
_VISIBILITIES = ("all", "private", "selected")
_LONGEST = 48 * 1024  # bytes
_API = "https://api.github.com"
_KEY_LENGTH = 32  # bytes
_PAGE = 100


def open_mirror(url: StoreUrl) -> "GithubSecret":
    """Return the mirror behind a `github-actions:` URL, without asking GitHub.

    Raises `ConfigError`, and `ModuleNotFoundError` where PyNaCl is not installed.
    """
    require_module("nacl")
    return GithubSecret(GithubAddress.parse(url), _open_server())


@dataclass(frozen=True, slots=True)
class GithubAddress:
    """A secret; `repo` is None for one of the organisation `owner`."""

    owner: str
    repo: str | None
    environment: str | None
    name: str
    visibility: str | None = None

    @classmethod
    def parse(cls, url: StoreUrl) -> "GithubAddress":
        """Take a URL apart; raises `ConfigError`."""
        check_options(url, "environment", "visibility")
        owner, slash, repo = url.location.removeprefix("//").partition("/")
        parts = [owner, repo] if slash else [owner]
        if not url.location.startswith("//") or not all(map(_PART.fullmatch, parts)):
            raise ConfigError(
                f"a github-actions: mirror needs a repository or an organisation, found"
                f" {quote_value(url.location)}: write github-actions://OWNER/REPO#NAME"
            )
        name = (url.field or DEFAULT_FIELD).upper()
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"GitHub takes no secret of the name {quote_value(name)}: use letters, digits and"
                " _, and do not begin with GITHUB_ or a digit"
            )
        environment, visibility = url.query.get("environment"), url.query.get("visibility")
        if environment is not None and not repo:
            raise ConfigError("an environment is that of a repository: write OWNER/REPO")
        if visibility is not None and (repo or visibility not in _VISIBILITIES):
            raise ConfigError(
                f"expected the visibility of a secret of an organisation, one of"
                f" {', '.join(_VISIBILITIES)}, found {quote_value(visibility)}: correct it, or"
                " remove it"
            )
        return cls(owner.lower(), repo.lower() or None, environment, name, visibility)

    @property
    def canonical(self) -> str:
        """The same text for the same secret."""
        place = f"{self.owner}/{self.repo}" if self.repo else self.owner
        options = f"?environment={quote(self.environment, safe='')}" if self.environment else ""
        return f"github-actions://{place}{options}#{self.name}"

    @property
    def path(self) -> str:
        """The path of the secrets beside it, in GitHub's API."""
        if self.repo is None:
            return f"/orgs/{self.owner}/actions/secrets"
        if self.environment is None:
            return f"/repos/{self.owner}/{self.repo}/actions/secrets"
        environment = quote(self.environment, safe="")
        return f"/repos/{self.owner}/{self.repo}/environments/{environment}/secrets"


class GithubSecret:
    """A secret of GitHub Actions; see `rotator.stores.mirrors.Mirror` for the promises."""

    def __init__(self, address: GithubAddress, server: CiServer) -> None:
        self.url = address.canonical
        self._address = address
        self._server = server

    def push(self, secret: str) -> None:
        """Encrypt it with the public key of that place, and put it there."""
        with name_errors(self.url):
            if len(secret.encode()) > _LONGEST:
                raise StoreError(
                    f"GitHub takes secrets of up to {_LONGEST} bytes: use another place"
                )
            key_id, key = self._read_key()
            body: dict[str, Any] = {"encrypted_value": _seal(key, secret), "key_id": key_id}
            if self._address.repo is None:
                body |= self._read_visibility()
            path = f"{self._address.path}/{self._address.name}"
            if call(self._server, "PUT", path, body).is_missing:
                raise self._missing()

    def seen(self) -> Seen | None:
        """Tell when it was changed; what it holds GitHub tells nobody."""
        with name_errors(self.url):
            found = self._find()
            if found is None:
                return None
            try:
                changed_at = datetime.fromisoformat(str(found["updated_at"])).astimezone(UTC)
            except (KeyError, ValueError, OverflowError):
                raise no_api(self._server) from None
        return Seen(changed_at)

    def _find(self) -> dict[str, Any] | None:
        answer = call(self._server, "GET", f"{self._address.path}/{self._address.name}")
        if answer.is_missing:
            self._read_key()  # a secret that is missing is no repository that is
            return None
        if not isinstance(answer.content, dict):
            raise no_api(self._server)
        return answer.content

    def _read_key(self) -> tuple[str, bytes]:
        answer = call(self._server, "GET", f"{self._address.path}/public-key")
        if answer.is_missing:
            raise self._missing()
        try:
            key = base64.b64decode(answer.content["key"], validate=True)
            key_id = answer.content["key_id"]
        except (KeyError, TypeError, ValueError):
            raise no_api(self._server) from None
        if len(key) != _KEY_LENGTH or not isinstance(key_id, str):
            raise no_api(self._server)
        return key_id, key

    def _read_visibility(self) -> dict[str, Any]:
        """Return which repositories see the secret of an organisation: the same as before."""
        found = self._find() or {}
        wanted = self._address.visibility or found.get("visibility") or "private"
        if wanted != "selected":
            return {"visibility": wanted}
        ids: list[int] = []
        path = f"{self._address.path}/{self._address.name}/repositories"
        for page in range(1, 100):
            params = {"per_page": str(_PAGE), "page": str(page)}
            answer = call(self._server, "GET", path, params=params)
            try:
                rows = [] if answer.is_missing else answer.content["repositories"]
                ids += [int(row["id"]) for row in rows]
            except (KeyError, TypeError, ValueError):
                raise no_api(self._server) from None
            if len(rows) < _PAGE:
                break
        return {"visibility": wanted, "selected_repository_ids": ids}

    def _missing(self) -> StoreError:
        where = "repository, environment" if self._address.repo else "organisation"
        return StoreError(
            f"GitHub knows no such {where}, or hides it from this token: correct the URL, or give"
            f" the token {self._server.rights}"
        )


def _open_server() -> CiServer:
    """Return GitHub, or the GitHub Enterprise Server that GITHUB_API_URL names."""
    base = os.environ.get("GITHUB_API_URL", "").rstrip("/") or _API
    parsed = parse_http_url(base)
    if parsed is None or is_readable_on_the_way(parsed) or parsed.username:
        raise ConfigError("GITHUB_API_URL is no https:// URL: correct it, or remove it")
    return CiServer(
        title="GitHub",
        base=base,
        variables=("GH_TOKEN", "GITHUB_TOKEN"),
        rights='the right to write secrets (fine-grained: "Secrets", classic: repo, admin:org)',
        headers={
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "nocturna-rotator",
        },
    )


def _seal(key: bytes, secret: str) -> str:
    from nacl.public import PublicKey, SealedBox  # noqa: PLC0415 - an SDK: loaded where it is used

    return base64.b64encode(SealedBox(PublicKey(key)).encrypt(secret.encode())).decode()
