"""A namespace of its own with one Secret, and the accounts that the documentation describes."""

import base64
import json
import os
import re
import secrets
import urllib.error
import urllib.request
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.kubernetes.cluster import REAL, Cluster, running, write_kubeconfig
from tests.support.waiting import wait_until

__all__ = ["KEY", "NAME", "Site", "running"]

KEY, NAME = "NOCTURNA_SERVICE_TOKEN", "luna"
JOURNAL = f"nocturna-rotator/journal.{KEY}"
EXPIRES = f"nocturna-rotator/expires.{KEY}"
ROTATOR, CHECKER, NOBODY = "rotator", "rotator-check", "nobody"
_DOCS = Path(__file__).parents[2] / "docs"
_PLURALS = {"ServiceAccount": "serviceaccounts", "Role": "roles", "RoleBinding": "rolebindings"}
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Site:
    """A Secret with neighbours, or with `missing=True` the right to create it."""

    def __init__(self, cluster: Cluster, folder: Path, *, missing: bool = False) -> None:
        self.cluster = cluster
        self.upstream = cluster.upstream
        self.namespace = f"rotator-test-{secrets.token_hex(4)}"
        self.store_url = f"kubernetes://{self.namespace}/{NAME}#{KEY}"
        self._folder = folder
        self._secrets = f"api/v1/namespaces/{self.namespace}/secrets"
        cluster.do("POST", "api/v1/namespaces", _object("Namespace", self.namespace))
        try:
            self._tokens = self._accounts(may_create=missing)
        except BaseException:  # a test that cannot begin leaves nothing in somebody's cluster
            self.close()
            raise
        if missing:
            self.store_url = self.store_url.replace("#", "?create=true#")
            cluster.do("POST", self._secrets, _object("Secret", "neighbour"))
        else:
            cluster.do("POST", self._secrets, _secret_with_neighbours())

    def close(self) -> None:
        self.cluster.do("DELETE", f"api/v1/namespaces/{self.namespace}")

    def variables(self, server: str, account: str = ROTATOR) -> dict[str, str]:
        """Return what points a rotator to `server`, as this account."""
        path = self._folder / f"{self.namespace}-{account}-{urlsplit(server).port}"
        if not path.exists():
            write_kubeconfig(path, server, {"token": self.token(account)})
        return {"KUBECONFIG": str(path)}

    def admin_variables(self) -> dict[str, str]:
        """Return what points a rotator to the server as its admin."""
        return {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}

    def token(self, account: str = ROTATOR) -> str:
        """Return the bearer token of an account; skips what a cluster without RBAC cannot do."""
        if REAL and account != ROTATOR and self._may_look(self._tokens[NOBODY]):
            pytest.skip("this cluster allows everything to everybody")
        return self._tokens[account]

    def put(self, secret: str, key: str = KEY) -> None:
        """Do what `kubectl patch secret` does, or `kubectl create secret`."""
        data = {"data": {key: base64.b64encode(secret.encode()).decode()}}
        if self.whole() is None:
            self.cluster.do("POST", self._secrets, {**_object("Secret", NAME), **data})
        else:
            self.patch(data)

    def patch(self, change: dict[str, Any]) -> None:
        """Change the Secret as its owner."""
        self.cluster.do("PATCH", f"{self._secrets}/{NAME}", change)

    def delete(self) -> None:
        """Delete the Secret."""
        self.cluster.do("DELETE", f"{self._secrets}/{NAME}")

    def secret(self) -> str | None:
        """Return what a pod finds in the variable or file that this key is mounted to."""
        value = ((self.whole() or {}).get("data") or {}).get(KEY)
        return None if value is None else base64.b64decode(value).decode()

    def whole(self) -> dict[str, Any] | None:
        """Return the whole Secret, None where there is none."""
        found: dict[str, Any] | None = self.cluster.do("GET", f"{self._secrets}/{NAME}")
        return found

    def events(self) -> list[dict[str, Any]]:
        """Return what has been shown beside the Secret."""
        folder = f"api/v1/namespaces/{self.namespace}/events"
        events = self.cluster.do("GET", folder)["items"]
        return [each for each in events if each["involvedObject"]["name"] == NAME]

    def neighbours(self) -> object:
        """Return all Secrets of the namespace without our key, our annotation, and what counts."""
        found = []
        for each in self.cluster.do("GET", self._secrets)["items"]:
            metadata = {**each["metadata"]}
            for counting in ("resourceVersion", "managedFields", "creationTimestamp", "uid"):
                metadata.pop(counting, None)
            notes = metadata.pop("annotations", {})
            kept = {k: v for k, v in notes.items() if k not in (JOURNAL, EXPIRES)}
            data = {k: v for k, v in (each.get("data") or {}).items() if k != KEY}
            rest = {k: v for k, v in each.items() if k not in ("data", "metadata")}
            if metadata["name"] != NAME or data or kept:
                found.append((rest, metadata, kept, data))
        return found

    def _accounts(self, *, may_create: bool) -> dict[str, str]:
        for each in [*documented(), _object("ServiceAccount", NOBODY)]:
            wanted = _moved(each, self.namespace)
            if may_create and (wanted["kind"], wanted["metadata"]["name"]) == ("Role", ROTATOR):
                wanted["rules"] += documented_rules("verbs: [create]")
            group = "apis/rbac.authorization.k8s.io" if "rbac" in wanted["apiVersion"] else "api"
            folder = f"{group}/v1/namespaces/{self.namespace}/{_PLURALS[wanted['kind']]}"
            self.cluster.do("POST", folder, wanted)
        tokens = {account: self._new_token(account) for account in (ROTATOR, CHECKER, NOBODY)}
        for account in (ROTATOR, CHECKER):  # roles take their time in a real cluster
            token = tokens[account]
            wait_until(partial(self._may_look, token), f"that the role of {account} takes effect")
        return tokens

    def _new_token(self, account: str) -> str:
        folder = f"api/v1/namespaces/{self.namespace}/serviceaccounts"
        wish = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return str(self.cluster.do("POST", f"{folder}/{account}/token", wish)["status"]["token"])

    def _may_look(self, token: str) -> bool:
        """Whether the account's role has reached the authorizer."""
        request = urllib.request.Request(  # noqa: S310 - of the tests' own server
            f"{self.upstream}/{self._secrets}/{NAME}", headers={"Authorization": f"Bearer {token}"}
        )
        try:
            _DIRECTLY.open(request).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == HTTPStatus.NOT_FOUND
        return True


@cache
def documented() -> list[dict[str, Any]]:
    """Return the accounts and roles of the documentation."""
    blocks = [block for block in _blocks() if "kind: ServiceAccount" in block]
    return [each for block in blocks for each in yaml.safe_load_all(block)]


@cache
def documented_rules(sign: str) -> list[dict[str, Any]]:
    """Return the rules of the documentation that are to be added for this."""
    [block] = [each for each in _blocks() if sign in each and "kind: ServiceAccount" not in each]
    rules: list[dict[str, Any]] = yaml.safe_load(block)
    return rules


def _blocks() -> list[str]:
    page = (_DOCS / "stores.md").read_text()
    return re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)


def _moved(wanted: dict[str, Any], namespace: str) -> dict[str, Any]:
    text = json.dumps(wanted).replace('"namespace": "bots"', f'"namespace": "{namespace}"')
    moved: dict[str, Any] = json.loads(text)
    return moved


def _object(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


def _secret_with_neighbours() -> dict[str, Any]:
    metadata = {
        "name": NAME,
        "labels": {"app": "luna"},
        "annotations": {"example.com/owner": "luna's people"},
    }
    return {**_object("Secret", NAME), "metadata": metadata, "data": {"OTHER": "b3RoZXI="}}
