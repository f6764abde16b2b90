"""The chart in a real cluster: that of `ROTATOR_TEST_KUBECONFIG`, as its admin."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helm.chart import CHART
from tests.helm.tools import Done, Tools
from tests.kubernetes.cluster import REAL

pytestmark = pytest.mark.skipif(not REAL, reason="needs a cluster in ROTATOR_TEST_KUBECONFIG")
OLDEST_FOR_CRON_JOBS = 29
# (verb, resource, may it?)
RIGHTS = [
    ("get", "secrets/luna", "yes"),
    ("patch", "secrets/luna", "yes"),
    ("update", "secrets/luna", "no"),
    ("delete", "secrets/luna", "no"),
    ("get", "secrets/other", "no"),
    ("patch", "secrets/other", "no"),
    ("list", "secrets", "no"),
    ("create", "secrets", "no"),
    ("create", "events", "yes"),
    ("list", "events", "no"),
    ("patch", "deployments.apps/luna-bot", "yes"),
    ("get", "deployments.apps/luna-bot", "no"),
    ("patch", "deployments.apps/other", "no"),
    ("create", "pods", "no"),
]


class Site(NamedTuple):
    """Two namespaces: of the release, and of the bots."""

    tools: Tools
    release: str
    bots: str
    values: Path

    def helm(self, *arguments: str | Path) -> Done:
        return self._done(self.tools.helm(*arguments, KUBECONFIG=self._config))

    def kubectl(self, *arguments: str | Path) -> Done:
        return self._done(self.tools.kubectl(*arguments, KUBECONFIG=self._config))

    def may(self, verb: str, resource: str) -> str:
        """Ask the cluster whether the account of the pods may do this; it says yes or no."""
        account = f"--as=system:serviceaccount:{self.release}:rotator"
        asked = ("auth", "can-i", verb, resource, account, f"--namespace={self.bots}")
        return self.tools.kubectl(*asked, KUBECONFIG=self._config).out.strip()

    @property
    def _config(self) -> str:
        return str(Path(REAL or "").absolute())

    def _done(self, done: Done) -> Done:
        assert done.status == 0, done.err
        return done


@pytest.fixture(scope="module")
def site(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = f"rotator-test-{secrets.token_hex(4)}"
    values = tmp_path_factory.mktemp("site") / "values.yaml"
    site = Site(tools, name, f"{name}-bots", values)
    version = json.loads(site.kubectl("version", "--output=json").out)["serverVersion"]
    minor = int(version["gitVersion"].split(".")[1])
    token = {
        "name": "luna-bot",
        "stores": [f"kubernetes://{site.bots}/luna"],
        "restart": ["deployment/luna-bot"],
    }
    given = {
        "kind": "CronJob" if minor >= OLDEST_FOR_CRON_JOBS else "Deployment",
        "admin": {"existingSecret": "nocturna-admin"},
        "config": {"api": {"url": "https://api.example.com/api"}, "tokens": [token]},
        "cronJob": {"suspend": True},
    }
    values.write_text(json.dumps(given))
    try:
        for namespace in (site.release, site.bots):
            site.kubectl("create", "namespace", namespace)
        options = (f"--namespace={site.release}", f"--values={values}")
        site.helm("install", "rotator", CHART, *options)
        yield site
        site.helm("uninstall", "rotator", f"--namespace={site.release}")
        left = site.kubectl(
            "get", "roles,rolebindings", "--output=name", f"--namespace={site.bots}"
        )
        assert left.out == ""
    finally:
        site.kubectl("delete", "namespace", site.release, site.bots, "--wait=false")


@pytest.mark.parametrize(("verb", "resource", "answer"), RIGHTS)
def test_the_pods_may_do_what_they_need_and_nothing_else(
    site: Site, verb: str, resource: str, answer: str
) -> None:
    assert site.may(verb, resource) == answer


def test_what_helm_has_installed_is_upgraded_in_place(site: Site) -> None:
    options = (f"--namespace={site.release}", f"--values={site.values}")
    site.helm("upgrade", "rotator", CHART, *options, "--set=config.defaults.retire=1d")
    shown = site.kubectl(
        "get", "configmap", "rotator", f"--namespace={site.release}", "--output=json"
    )
    assert 'retire = "1d"' in json.loads(shown.out)["data"]["rotator.toml"]


def test_the_cluster_knows_every_field_of_the_pods(site: Site) -> None:
    made = site.helm("get", "manifest", "rotator", f"--namespace={site.release}")
    path = site.values.with_name("manifest.yaml")
    path.write_text(made.out)
    options = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    site.kubectl("apply", *options, f"--filename={path}")
