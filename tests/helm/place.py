"""A release in a cluster that runs no pods: they are run here, with the rights of their Roles."""

import base64
import secrets
from pathlib import Path
from typing import Any

from tests.helm.chart import Manifests, Object, container, variables
from tests.kubernetes.cluster import Cluster, write_kubeconfig
from tests.support.process import Result, Runner
from tests.support.sandbox import Sandbox

KEY = "NOCTURNA_SERVICE_TOKEN"
NAMES = ("luna", "sol", "terra", "mars")


class Place:
    """The namespaces of a release and of its bots, and a folder instead of a pod's file system."""

    def __init__(self, cluster: Cluster, rotator: Runner, api: Sandbox) -> None:
        self.cluster = cluster
        self.release = f"rotator-test-{secrets.token_hex(4)}"
        self.bots = f"{self.release}-bots"
        self._rotator = rotator
        self._api = api

    def open(self) -> None:
        for namespace in (self.release, self.bots):
            self._post("api/v1/namespaces", _object("Namespace", namespace))
        for name in NAMES:
            self._post(f"api/v1/namespaces/{self.bots}/secrets", _object("Secret", name))
        pod = {
            "metadata": {"labels": {"app": "luna"}},
            "spec": {"containers": [{"name": "bot", "image": "registry.example/luna:1"}]},
        }
        bot = {**_object("Deployment", "luna"), "apiVersion": "apps/v1"}
        bot["spec"] = {"selector": {"matchLabels": {"app": "luna"}}, "template": pod}
        self._post(f"apis/apps/v1/namespaces/{self.bots}/deployments", bot)

    def close(self) -> None:
        for namespace in (self.release, self.bots):
            self.cluster.do("DELETE", f"api/v1/namespaces/{namespace}")

    def install(self, manifests: Manifests) -> None:
        """Create what gives the pods their rights, and the admin's Secret as files."""
        for kind, path in (
            ("ServiceAccount", "api/v1/namespaces/{}/serviceaccounts"),
            ("Role", "apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles"),
            ("RoleBinding", "apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings"),
        ):
            for each in manifests.of(kind):
                self._post(path.format(each["metadata"]["namespace"]), each)
        folder = self._rotator.folder
        (folder / "etc/rotator").mkdir(parents=True)
        (folder / "etc/rotator/rotator.toml").write_text(manifests.toml)
        (folder / "run/secrets/nocturna").mkdir(parents=True)
        (folder / "run/secrets/nocturna/email").write_text(self._api.admin_email)
        (folder / "run/secrets/nocturna/password").write_text(self._api.admin_password)
        self._rotator.env = {"KUBECONFIG": str(self._kubeconfig(folder / "kubeconfig"))}

    def run(self, pod: Object, index: int = 0) -> Result:
        """Run what this pod runs, as the kubelet would: with its index in the arguments."""
        given = {
            name: f"{self._rotator.folder}{each}" if each.startswith("/") else each
            for name, each in variables(pod).items()
        }
        args = [
            each.replace("$(JOB_COMPLETION_INDEX)", str(index)) for each in container(pod)["args"]
        ]
        return self._rotator(*args, **given)

    def token(self, name: str) -> str:
        secret = self.cluster.do("GET", f"api/v1/namespaces/{self.bots}/secrets/{name}")
        return base64.b64decode((secret.get("data") or {}).get(KEY, "")).decode()

    def annotations(self) -> dict[str, str]:
        """Return those of the pods of the bot that reads its environment."""
        bot = self.cluster.do("GET", f"apis/apps/v1/namespaces/{self.bots}/deployments/luna")
        return dict(bot["spec"]["template"]["metadata"].get("annotations") or {})

    def _kubeconfig(self, path: Path) -> Path:
        wish = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        account = f"api/v1/namespaces/{self.release}/serviceaccounts/rotator/token"
        token = self.cluster.do("POST", account, wish)["status"]["token"]
        return write_kubeconfig(path, self.cluster.upstream, {"token": token})

    def _post(self, folder: str, wanted: dict[str, Any]) -> None:
        self.cluster.do("POST", folder, wanted)


def _object(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
