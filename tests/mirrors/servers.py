"""Servers that answer as the documented APIs of GitHub and GitLab do, as far as mirrors use them.

The facts are those of https://docs.github.com/rest/actions/secrets and
https://docs.gitlab.com/api/project_level_variables/, of the versions 2022-11-28 and 18. Where they
leave something open, these servers refuse.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from nacl.public import PrivateKey, SealedBox

TOKEN = "ghp_made_up"
Answered = tuple[int, Any]
_SECRETS = (
    r"(?P<place>/repos/[^/]+/[^/]+(?:/environments/[^/]+/|/actions/)|/orgs/[^/]+/actions/)secrets"
)
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Github:
    """Keeps the secrets of `places`, such as `/repos/luna/bot/actions/`."""

    def __init__(self, *places: str) -> None:
        self.places = places
        self.secrets: dict[str, dict[str, Any]] = {}
        self.repositories: dict[str, list[int]] = {}
        self._key = PrivateKey.generate()
        self._now = START
        self.calls: list[str] = []
        self.broken: int | None = None

    def held(self, path: str) -> str:
        """Return what a workflow reads."""
        sealed = base64.b64decode(self.secrets[path]["encrypted_value"])
        return SealedBox(self._key).decrypt(sealed).decode()

    def change(self, path: str) -> None:
        """Let somebody else write it."""
        self._now += timedelta(minutes=1)
        self.secrets[path]["updated_at"] = self._now

    def answer(  # noqa: PLR0911 - a table
        self,
        method: str,
        path: str,
        query: dict[str, list[str]],
        body: Any,  # noqa: ANN401 - JSON
    ) -> Answered:
        if self.broken:
            return self.broken, {"message": "broken"}
        match = re.fullmatch(
            rf"{_SECRETS}(?:/(?P<name>[A-Za-z0-9_-]+)(?P<more>/repositories)?)?", path
        )
        if match is None or match["place"] not in self.places:
            return 404, {"message": "Not Found", "status": "404"}
        name, key = match["name"], path.removesuffix("/repositories")
        if name == "public-key":
            public = base64.b64encode(bytes(self._key.public_key)).decode()
            return 200, {"key_id": "568250167242549743", "key": public}
        if match["more"]:
            start = (int(query["page"][0]) - 1) * int(query["per_page"][0])
            every = self.repositories.get(key, [])
            rows = [{"id": each} for each in every[start : start + int(query["per_page"][0])]]
            return 200, {"total_count": len(every), "repositories": rows}
        if method == "PUT":
            return self._put(key, body, of_organisation=path.startswith("/orgs/"))
        if key not in self.secrets:
            return 404, {"message": "Not Found", "status": "404"}
        kept = self.secrets[key]
        shown = {"name": name, "created_at": _time(START), "updated_at": _time(kept["updated_at"])}
        return 200, shown | ({"visibility": kept["visibility"]} if "visibility" in kept else {})

    def _put(self, key: str, body: dict[str, Any], *, of_organisation: bool) -> Answered:
        wanted = {"encrypted_value", "key_id"} | ({"visibility"} if of_organisation else set())
        if not wanted <= set(body) or body["key_id"] != "568250167242549743":
            return 422, {"message": "Validation Failed"}
        is_new = key not in self.secrets
        self._now += timedelta(seconds=1)
        self.secrets[key] = {**body, "updated_at": self._now}
        self.repositories[key] = body.get("selected_repository_ids", [])
        return (201, {}) if is_new else (204, None)


class Gitlab:
    """Keeps the variables of one project, by name and scope."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.variables: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls: list[str] = []
        self.broken: int | None = None

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answered:  # noqa: ANN401 - JSON
        if self.broken:
            return self.broken, {"message": "broken"}
        match = re.fullmatch(r"/api/v4/projects/([^/]+)/variables(?:/(\w+))?", path)
        if match is None or unquote(match[1]) != self.project:
            return 404, {"message": "404 Project Not Found"}
        if method == "POST":
            key = body["key"], body.get("environment_scope", "*")
            if key in self.variables:
                return 400, {"message": {"key": ["has already been taken"]}}
            self.variables[key] = {"variable_type": "env_var", "protected": False, **body}
            return 201, self._shown(key)
        scopes = (body or {}).get("filter") or {
            "environment_scope": query.get("filter[environment_scope]", ["*"])[0]
        }
        key = match[2], scopes["environment_scope"]
        if key not in self.variables:
            return 404, {"message": "404 Variable Not Found"}
        if method == "PUT":
            self.variables[key] |= {k: v for k, v in body.items() if k != "filter"}
        return 200, self._shown(key)

    def _shown(self, key: tuple[str, str]) -> dict[str, Any]:
        kept = self.variables[key]
        shown = {"key": key[0], "environment_scope": key[1], "hidden": False, **kept}
        return {**shown, "value": None} if shown["hidden"] else shown


@contextmanager
def serving(service: Github | Gitlab, token: str = TOKEN) -> Iterator[str]:
    """Serve it to whoever has the token; yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def answered(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            service.calls.append(f"{self.command} {url.path}")
            if self.headers["Authorization"] == f"Bearer {token}":
                status, answer = service.answer(self.command, url.path, parse_qs(url.query), body)
            else:
                status, answer = 401, {"message": "Bad credentials"}
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = answered  # noqa: N815 - http.server's way to name a method

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


Serve = Callable[[Github | Gitlab], str]
