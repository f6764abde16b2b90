"""Workloads beside the Secret of a site, and the right to restart them that is documented."""

import json
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any

from tests.kubernetes.site import ROTATOR, Site, documented_rules

NAME = "luna-bot"
KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
_PATIENCE = 200  # looks, a twentieth of a second apart: roles take their time in a real cluster
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Plant:
    """A workload that the account of the rotator may patch."""

    def __init__(self, site: Site, kind: str = "deployment") -> None:
        self.site = site
        self.kind = kind
        self._folder = f"apis/apps/v1/namespaces/{site.namespace}/{kind}s"
        self._file = f"{self._folder}/{NAME}"
        self._allow()

    @property
    def name(self) -> str:
        """The workload as a setting has it."""
        return f"{self.site.namespace}/{self.kind}/{NAME}"

    def build(self, **more: object) -> None:
        """Create it, with neighbours of our annotation."""
        labels = {"app": NAME}
        pod = {
            "metadata": {"labels": labels, "annotations": {"example.com/owner": "luna's people"}},
            "spec": {"containers": [{"name": "bot", "image": "registry.example/luna-bot:1"}]},
        }
        spec: dict[str, object] = {"selector": {"matchLabels": labels}, "template": pod, **more}
        if self.kind == "statefulset":
            spec["serviceName"] = NAME
        head = {"apiVersion": "apps/v1", "kind": KINDS[self.kind], "metadata": {"name": NAME}}
        self.site.cluster.do("POST", self._folder, {**head, "spec": spec})

    def patch(self, spec: dict[str, Any]) -> None:
        """Change it as its owner."""
        self.site.cluster.do("PATCH", self._file, {"spec": spec})

    def remove(self) -> None:
        self.site.cluster.do("DELETE", self._file)

    def generation(self) -> int:
        """Return how often its `spec` was changed, and 1: a change of the template is a restart."""
        return int(self._whole()["metadata"]["generation"])

    def annotations(self) -> dict[str, str]:
        """Return those of the pod template."""
        return dict(self._whole()["spec"]["template"]["metadata"]["annotations"])

    def spec(self) -> dict[str, Any]:
        """Return all that a restart leaves alone."""
        spec: dict[str, Any] = self._whole()["spec"]
        del spec["template"]["metadata"]["annotations"]
        return spec

    def _whole(self) -> Any:  # noqa: ANN401 - JSON
        # A copy: that of the stand-in is the very object.
        return json.loads(json.dumps(self.site.cluster.do("GET", self._file)))

    def _allow(self) -> None:
        folder = f"apis/rbac.authorization.k8s.io/v1/namespaces/{self.site.namespace}"
        head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "restart"}}
        [rule] = documented_rules("apiGroups: [apps]")
        rules = [{**rule, "resources": [f"{self.kind}s"]}]
        account = {"kind": "ServiceAccount", "name": ROTATOR, "namespace": self.site.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "restart"}
        binding = {"kind": "RoleBinding", "roleRef": role, "subjects": [account]}
        self.site.cluster.do("POST", f"{folder}/roles", {**head, "kind": "Role", "rules": rules})
        self.site.cluster.do("POST", f"{folder}/rolebindings", {**head, **binding})
        for _ in range(_PATIENCE):
            if self._may_patch():
                return
            time.sleep(0.05)
        raise TimeoutError("the role for restarts does not take effect")

    def _may_patch(self) -> bool:
        request = urllib.request.Request(  # noqa: S310 - of the tests' own server
            f"{self.site.upstream}/{self._file}?dryRun=All",
            b"{}",
            {
                "Authorization": f"Bearer {self.site.token()}",
                "Content-Type": "application/merge-patch+json",
            },
            method="PATCH",
        )
        try:
            _DIRECTLY.open(request).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == HTTPStatus.NOT_FOUND
        return True
