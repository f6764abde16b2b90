"""A stand-in for the API server of a cluster: Secrets and workloads, and who may do what with them.

Keeps these, namespaces, ServiceAccounts, Roles and RoleBindings in memory. Texts and codes are
those of kube-apiserver 1.32: `apierrors.New…` in k8s.io/apimachinery/pkg/api/errors/errors.go.
"""

import json
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.kubernetes.objects import RefusedError, merged, validate

ADMIN = "kubernetes-admin"
_PATH = re.compile(
    r"/(?:api|apis/(?P<group>apps|rbac\.authorization\.k8s\.io))/v1/namespaces"
    r"(?:/(?P<namespace>[^/]+)(?:/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+)(?P<token>/token)?)?)?)?"
)
_KINDS = {
    "namespaces": "Namespace",
    "secrets": "Secret",
    "events": "Event",
    "serviceaccounts": "ServiceAccount",
    "roles": "Role",
    "rolebindings": "RoleBinding",
    "deployments": "Deployment",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
}
_GROUPS = {
    **dict.fromkeys(("deployments", "statefulsets", "daemonsets"), "apps"),
    **dict.fromkeys(("roles", "rolebindings"), "rbac.authorization.k8s.io"),
}
_VERBS = {"GET": "get", "PATCH": "patch", "POST": "create", "DELETE": "delete"}
_MERGE_PATCH = "application/merge-patch+json"


class Request(NamedTuple):
    method: str
    path: str
    token: str
    content_type: str
    body: Any
    common_name: str = ""  # of the client's certificate


class Fault(NamedTuple):
    """An answer that the next request gets instead of its own, or the next with this method."""

    code: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    method: str = ""


class ApiServer:
    """The state, and what each request does to it; `tokens` are those that are accepted.

    `webhook` changes each object that is to be created or changed, as mutating admission does.
    `forbidden` is a resource for which no Role counts.
    """

    def __init__(self) -> None:
        self.admin_token = secrets.token_urlsafe()
        self.tokens = {self.admin_token: ADMIN}
        self.faults: deque[Fault] = deque()
        self.requests: list[Request] = []
        self.webhook: Callable[[dict[str, Any]], object] | None = None
        self.forbidden = ""
        self._objects: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self._versions = count(1001)
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Fault:
        with self._lock:
            self.requests.append(request)
            if self.faults and self.faults[0].method in ("", request.method):
                return self.faults.popleft()
            try:
                code, body = self._answer(request)
            except RefusedError as refused:
                code, body = refused.code, refused.status
            return Fault(code, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        user = ADMIN if request.common_name == ADMIN else self.tokens.get(request.token)
        if user is None:
            raise RefusedError(401, "Unauthorized", "Unauthorized")
        address = urlsplit(request.path)
        namespace, plural, name, wants_token = _place(address.path)
        verb = "list" if (request.method, name) == ("GET", None) else _VERBS[request.method]
        self._authorize(user, verb, namespace, plural, name)
        kept = self._objects.setdefault((namespace, plural), {})
        dry_run = parse_qs(address.query).get("dryRun") == ["All"]
        if request.method == "POST" and not wants_token:
            return 201, self._create(namespace, plural, request.body, dry_run=dry_run)
        if name is None:
            return 200, _list(plural, kept, parse_qs(address.query))
        if name not in kept:
            raise RefusedError(
                404, "NotFound", f'{_full(plural)} "{name}" not found', name=name, kind=plural
            )
        if wants_token:
            return 201, self._token(namespace, name)
        if request.method == "PATCH":
            return 200, self._patch(kept, request, name, plural, dry_run=dry_run)
        if request.method == "DELETE":
            return 200, kept.pop(name)
        return 200, kept[name]

    def _authorize(
        self, user: str, verb: str, namespace: str, plural: str, name: str | None
    ) -> None:
        for binding in self._objects.get((namespace, "rolebindings"), {}).values():
            subjects = {
                f"system:serviceaccount:{each['namespace']}:{each['name']}"
                for each in binding["subjects"]
            }
            role = self._objects[namespace, "roles"].get(binding["roleRef"]["name"], {})
            for rule in role.get("rules", ()) if user in subjects else ():
                named = "resourceNames" not in rule or name in rule["resourceNames"]
                grouped = _GROUPS.get(plural, "") in rule["apiGroups"]
                grouped &= plural != self.forbidden
                if grouped and plural in rule["resources"] and verb in rule["verbs"] and named:
                    return
        if user == ADMIN:
            return
        what = _full(plural) if name is None else f'{_full(plural)} "{name}"'
        raise RefusedError(
            403,
            "Forbidden",
            f'{what} is forbidden: User "{user}" cannot {verb} resource "{plural}" in API group'
            f' "{_GROUPS.get(plural, "")}" in the namespace "{namespace}"',
            **({} if name is None else {"name": name}),
            kind=plural,
        )

    def _create(
        self, namespace: str, plural: str, wanted: dict[str, Any], *, dry_run: bool
    ) -> dict[str, Any]:
        kept = self._objects[namespace, plural]
        if base := wanted["metadata"].get("generateName"):
            named = {**wanted["metadata"], "name": f"{base[:58]}{secrets.token_hex(3)[:5]}"}
            wanted = {**wanted, "metadata": named}
        name = wanted["metadata"]["name"]
        if namespace and namespace not in self._objects.get(("", "namespaces"), {}):
            raise RefusedError(
                404,
                "NotFound",
                f'namespaces "{namespace}" not found',
                name=namespace,
                kind="namespaces",
            )
        validate(wanted, name, _KINDS[plural], {})
        if name in kept:
            raise RefusedError(
                409, "AlreadyExists", f'{plural} "{name}" already exists', name=name, kind=plural
            )
        metadata = {**wanted["metadata"], **({"namespace": namespace} if namespace else {})}
        created = self._mutated({**wanted, "metadata": metadata})
        metadata = created["metadata"]
        if not dry_run:
            metadata["resourceVersion"] = str(next(self._versions))
            metadata["uid"] = str(uuid4())
            kept[name] = created
            if _GROUPS.get(plural) == "apps":
                metadata["generation"] = 1
        return created

    def _patch(
        self,
        kept: dict[str, dict[str, Any]],
        request: Request,
        name: str,
        plural: str,
        *,
        dry_run: bool,
    ) -> dict[str, Any]:
        if request.content_type != _MERGE_PATCH:
            raise RefusedError(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include:"
                f" application/json-patch+json, {_MERGE_PATCH}, application/apply-patch+yaml",
            )
        old = kept[name]
        new: dict[str, Any] = merged(old, request.body)
        version = old["metadata"]["resourceVersion"]
        if new["metadata"].get("resourceVersion", version) != version:
            raise RefusedError(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {plural} "{name}": the object has been modified;'
                " please apply your changes to the latest version and try again",
                name=name,
                kind=plural,
            )
        new["metadata"]["resourceVersion"] = version
        new = self._mutated(new)
        validate(new, name, _KINDS[plural], old)
        if new != old and not dry_run:
            new["metadata"]["resourceVersion"] = str(next(self._versions))
            kept[name] = new
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] += 1
        return new

    def _mutated(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if self.webhook is None:
            return wanted
        changed = deepcopy(wanted)
        self.webhook(changed)
        return changed

    def _token(self, namespace: str, name: str) -> dict[str, Any]:
        token = secrets.token_urlsafe()
        self.tokens[token] = f"system:serviceaccount:{namespace}:{name}"
        return {"kind": "TokenRequest", "status": {"token": token}}


def _list(
    plural: str, kept: Mapping[str, dict[str, Any]], options: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Return a page, in the order of the names; the items do not say of which kind they are."""
    [selector] = options.get("fieldSelector", ["type!="])
    field, _, value = selector.partition("!=")
    [start], [limit] = options.get("continue", [""]), options.get("limit", ["1000000"])
    names = [n for n in sorted(kept) if n >= start and kept[n].get(field, "Opaque") != value]
    page, rest = names[: int(limit)], names[int(limit) :]
    items = [{k: v for k, v in kept[n].items() if k not in ("kind", "apiVersion")} for n in page]
    return {
        "kind": f"{_KINDS[plural]}List",
        "metadata": {"continue": rest[0]} if rest else {},
        "items": items,
    }


def _place(path: str) -> tuple[str, str, str | None, bool]:
    """Return namespace, resource, name, and whether a token of that account is wanted."""
    match = _PATH.fullmatch(path)
    plural = match["plural"] or "namespaces" if match else ""
    if not match or plural not in _KINDS or _GROUPS.get(plural) != match["group"]:
        raise RefusedError(404, "NotFound", "the server could not find the requested resource")
    if match["plural"] is None:
        return "", plural, match["namespace"], False
    return match["namespace"], plural, match["name"], bool(match["token"])


def _full(plural: str) -> str:
    """Return the resource with its group, as messages have it."""
    return f"{plural}.{_GROUPS[plural]}" if plural in _GROUPS else plural
