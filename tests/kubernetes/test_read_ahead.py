"""Many Secrets of one namespace: read by one list where that is allowed, and alone where not."""

import base64
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.connection import Connection
from backends.kubernetes.store import KubernetesStore
from rotator import wiring
from rotator.clock import utc_now
from rotator.config.loader import load_settings
from rotator.rotation.ahead import ReadAhead
from rotator.rotation.fleet import run_fleet
from rotator.rotation.model import Action
from rotator.rotation.observe import Observation, Unreachable
from rotator.rotation.policy import RotateOptions
from rotator.stores.port import parse_url
from tests.kubernetes.apiserver import ApiServer, Fault
from tests.kubernetes.helpers import NOWHERE
from tests.kubernetes.site import KEY, NOBODY, Site
from tests.support.clock import StillTime
from tests.support.sandbox import Sandbox

MANY = 12


class Fleet:
    """Stores of the Secrets `bot-0` and so on, of an account that may do this."""

    def __init__(self, site: Site, server: ApiServer, *verbs: str, number: int = MANY) -> None:
        self._site = site
        self._server = server
        self._folder = f"api/v1/namespaces/{site.namespace}"
        self.time = StillTime()
        self.ahead = ReadAhead(self.time.monotonic)
        self._allow(list(verbs))
        variables = site.variables(site.upstream, NOBODY)
        self._connection = Connection(None, variables, service_account=NOWHERE)
        for each in range(number):
            self.put(f"bot-{each}", f"token {each}")
        self.stores = [self.open(f"bot-{each}") for each in range(number)]

    def _allow(self, verbs: list[str]) -> None:
        group = "rbac.authorization.k8s.io"
        folder = self._folder.replace("api/v1", f"apis/{group}/v1")
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}
        head = {"apiVersion": f"{group}/v1", "metadata": {"name": "fleet"}}
        self._site.cluster.do("POST", f"{folder}/roles", {**head, "kind": "Role", "rules": [rule]})
        subject = {"kind": "ServiceAccount", "name": NOBODY, "namespace": self._site.namespace}
        role = {"apiGroup": group, "kind": "Role", "name": "fleet"}
        binding = {**head, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]}
        self._site.cluster.do("POST", f"{folder}/rolebindings", binding)

    def open(self, name: str, key: str = KEY) -> KubernetesStore:
        url = parse_url(f"kubernetes://{self._site.namespace}/{name}#{key}", Path())
        return KubernetesStore(KubernetesAddress.parse(url), self._connection)

    def put(self, name: str, secret: str, kind: str = "Opaque") -> None:
        data = {KEY: base64.b64encode(secret.encode()).decode()}
        new = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
        self._site.cluster.do("POST", f"{self._folder}/secrets", {**new, "type": kind})

    def look(self) -> list[str | None]:
        """Look at all stores as a run does; return what they show."""
        self.ahead.expect(self.stores)
        return [self.shown(store) for store in self.stores]

    def shown(self, store: KubernetesStore) -> str | None:
        seen = self.ahead.observe_store(store)
        assert isinstance(seen, Observation), seen
        return seen.secret

    def count(self) -> tuple[int, int]:
        """Return how many lists and gets there were since the last time."""
        asked = [urlsplit(each.path) for each in self._server.requests]
        self._server.requests.clear()
        lists = sum(each.path.endswith("/secrets") for each in asked)
        return lists, len(asked) - lists


def plain(seen: Observation | Unreachable) -> str:
    """Return all that is known of a store, but for the identity of an error."""
    assert isinstance(seen, Observation)
    return f"{seen.secret} {replace(seen, fault=None)}"


TOKENS = [f"token {each}" for each in range(MANY)]


def test_one_list_tells_of_all(site: Site, stand_in: ApiServer) -> None:
    fleet = Fleet(site, stand_in, "list", "get")
    fleet.count()
    assert fleet.look() == TOKENS
    assert fleet.count() == (1, 0)


def test_what_is_listed_is_what_is_read_alone(site: Site, stand_in: ApiServer) -> None:
    fleet = Fleet(site, stand_in, "list", "get")
    fleet.stores += [fleet.open("bot-0", "OTHER")]
    fleet.count()
    fleet.ahead.expect(fleet.stores)
    ahead = [fleet.ahead.observe_store(store) for store in fleet.stores]
    alone = [fleet.ahead.observe_store(store) for store in fleet.stores]
    assert [plain(each) for each in ahead] == [plain(each) for each in alone]
    assert fleet.count() == (1, MANY + 1)


def test_the_second_look_reads_again(site: Site, stand_in: ApiServer) -> None:
    fleet = Fleet(site, stand_in, "list", "get")
    fleet.look()
    site.cluster.do("DELETE", f"api/v1/namespaces/{site.namespace}/secrets/bot-3")
    assert isinstance(fleet.ahead.observe_store(fleet.stores[3]), Unreachable)


def test_what_was_listed_a_while_ago_is_listed_again(site: Site, stand_in: ApiServer) -> None:
    fleet = Fleet(site, stand_in, "list", "get")
    fleet.count()
    fleet.ahead.expect(fleet.stores)
    fleet.shown(fleet.stores[0])
    fleet.time.now += 61
    for store in fleet.stores[1:]:
        fleet.shown(store)
    assert fleet.count() == (2, 0)


def test_without_the_right_each_is_read_alone_and_the_list_asked_for_once(
    site: Site, stand_in: ApiServer
) -> None:
    fleet = Fleet(site, stand_in, "get")
    fleet.count()
    assert fleet.look() == fleet.look() == TOKENS
    assert fleet.count() == (1, 2 * MANY)


def test_a_few_are_read_alone(site: Site, stand_in: ApiServer) -> None:
    fleet = Fleet(site, stand_in, "list", "get", number=4)
    fleet.count()
    assert fleet.look() == TOKENS[:4]
    assert fleet.count() == (0, 4)


def test_a_namespace_with_very_many_others_is_not_listed_to_its_end(
    site: Site, stand_in: ApiServer
) -> None:
    fleet = Fleet(site, stand_in, "list", "get")
    for number in range(150):
        fleet.put(f"another-{number}", "of others")
    fleet.count()
    assert fleet.look() == TOKENS
    assert fleet.count() == (1, MANY)


def test_pages_follow_each_other_and_those_of_helm_are_left_out(
    site: Site, stand_in: ApiServer
) -> None:
    fleet = Fleet(site, stand_in, "list", "get", number=60)
    for number in range(55):
        fleet.put(f"another-{number}", "of others")
        fleet.put(f"a.release-{number}", "large", "helm.sh/release.v1")
    fleet.count()
    assert fleet.look() == [f"token {number}" for number in range(60)]
    assert fleet.count() == (2, 0)


@pytest.mark.parametrize(
    "answer",
    [Fault(200, b'{"kind": "Secret"}'), Fault(410, b""), Fault(200, b'{"kind": "SecretList"}')],
    ids=["no list", "gone", "no items"],
)
def test_a_broken_answer_is_as_good_as_none(site: Site, stand_in: ApiServer, answer: Fault) -> None:
    fleet = Fleet(site, stand_in, "list", "get")
    stand_in.faults.append(answer)
    assert fleet.look() == TOKENS


def test_what_a_list_does_not_have_is_told_as_always(site: Site, stand_in: ApiServer) -> None:
    fleet = Fleet(site, stand_in, "list", "get")
    missing = fleet.open("missing")
    fleet.ahead.expect([missing, *fleet.stores])
    found = fleet.ahead.observe_store(missing)
    assert isinstance(found, Unreachable)
    assert "there is no Secret missing in the namespace" in str(found.error)


def test_a_run_reads_again_what_it_renews_and_nothing_else(
    site: Site, stand_in: ApiServer, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(site, stand_in, "list", "get", "patch", "create", number=0)
    text = f'[api]\nurl = "{api.url}"\nadmin_email = "{api.admin_email}"\n'
    text += 'admin_password_file = "password"\n[defaults]\nprobe = false\n'
    for number in range(MANY):
        fleet.put(f"bot-{number}", api.issue(days=3 if number == 7 else 60))
        store = f"kubernetes://{site.namespace}/bot-{number}#{KEY}"
        text += f'[[token]]\nname = "bot-{number}"\nstores = ["{store}"]\n'
    (tmp_path / "password").write_text(api.admin_password)
    (tmp_path / "rotator.toml").write_text(text)
    monkeypatch.setenv("KUBECONFIG", site.variables(site.upstream, NOBODY)["KUBECONFIG"])
    settings = load_settings(None, {}, tmp_path)
    rotations = wiring.build_rotations(settings, (), utc_now)
    fleet.count()
    reports = run_fleet(rotations, lambda each: each.rotate(RotateOptions()))
    assert [each.name for each in reports if each.action is Action.ROTATED] == ["bot-7"]
    others = [each.path for each in stand_in.requests if "/bot-7" not in each.path]
    assert len(others) == 2  # the list, and an event about the one
    assert fleet.count()[0] == 1
