"""What the cluster shows of a rotation: the expiry beside the token, and Events."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.events import describe_event
from rotator.errors import StoreDeniedError
from rotator.rotation.model import Action
from rotator.stores.journal import Journal
from rotator.stores.port import StoreEvent
from rotator.tokens import ServiceToken
from tests.helm.tools import unpack
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.helpers import Rotate, opened, store_of
from tests.kubernetes.site import CHECKER, EXPIRES, KEY, Site
from tests.support.sandbox import Sandbox

MOMENT = datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)
ADDRESS = KubernetesAddress("bots", "luna", KEY)
DOCS = Path(__file__).parents[2] / "docs"


def annotations(site: Site) -> dict[str, str]:
    return dict((site.whole() or {})["metadata"].get("annotations") or {})


def token(*stores: str) -> str:
    return f"[[token]]\nname = 'luna'\nstores = {list(stores)}\n"


def shown(site: Site) -> list[tuple[str, str]]:
    return [(each["type"], each["reason"]) for each in site.events()]


def test_the_expiry_stands_beside_the_token(site: Site, api: Sandbox) -> None:
    secret = api.issue(days=30)
    store_of(site).write(secret, Journal(), expected=store_of(site).read().version)
    expires_at = ServiceToken.parse(secret).expires_at
    assert expires_at
    assert annotations(site)[EXPIRES] == f"{expires_at:%Y-%m-%dT%H:%M:%SZ}"


def test_the_expiry_follows_the_value_at_each_change(site: Site, api: Sandbox) -> None:
    store = store_of(site)
    store.write(api.issue(days=30), Journal(), expected=store.read().version)
    site.put(api.issue(eternal=True))  # by somebody else
    store.note(Journal(token_id="t"), expected=store.read().version)
    assert annotations(site)[EXPIRES] == "never"
    store.write("no token", Journal(), expected=store.read().version)
    assert EXPIRES not in annotations(site)


def test_a_secret_that_is_created_has_the_expiry_from_the_start(vacant: Site, api: Sandbox) -> None:
    store_of(vacant).write(api.issue(), Journal(), expected=store_of(vacant).read().version)
    assert annotations(vacant)[EXPIRES].endswith("Z")


@pytest.mark.parametrize("key", ["K" * 55, "K" * 253, "ends-in-"])
def test_the_expiry_of_a_long_key_has_a_name_that_kubernetes_takes(site: Site, key: str) -> None:
    store = store_of(site, site.store_url.replace(KEY, key))
    unsigned = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoic2VydmljZSJ9.c2ln"
    store.write(unsigned, Journal(), expected=store.read().version)
    assert [name for name in annotations(site) if "/expires" in name]


def test_the_page_shows_how_to_list_the_expiries(tmp_path: Path) -> None:
    [path] = re.findall(r"EXPIRES:(\.\S+)'", (DOCS / "stores.md").read_text())
    luna: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret"}
    luna["metadata"] = {"name": "luna", "annotations": {EXPIRES: "2027-02-21T10:42:07Z"}}
    (tmp_path / "secret.json").write_text(json.dumps(luna))
    # Columns are JSONPath, of which `kubectl annotate` needs no cluster.
    told = unpack(tmp_path).kubectl(
        *("annotate", "--local", f"--filename={tmp_path / 'secret.json'}", "x=y"),
        *("--output", f"jsonpath={{{path}}}"),
    )
    assert (told.out, told.err) == ("2027-02-21T10:42:07Z", "")


def test_a_rotation_is_shown_about_the_secret(site: Site, api: Sandbox, rotate: Rotate) -> None:
    site.put(api.issue(days=3))
    [report] = rotate(token(site.store_url))
    [event] = site.events()
    assert (event["type"], event["reason"]) == ("Normal", "Rotated")
    assert event["message"] == (
        f"luna: the token {report.token_id} is here now; it expires at"
        f" {report.expires_at:%Y-%m-%d %H:%M} UTC"
    )
    about = event["involvedObject"]
    # `kubectl describe` asks for the events of this kind, name and uid.
    assert (about["kind"], about["uid"]) == ("Secret", (site.whole() or {})["metadata"]["uid"])
    assert [each.action for each in rotate(token(site.store_url))] == [Action.KEPT]
    assert len(site.events()) == 1


def test_a_failure_is_shown_with_what_to_do(
    site: Site, api: Sandbox, rotate: Rotate, tmp_path: Path
) -> None:
    site.put(api.issue(days=3))
    (tmp_path / "password").write_text("another")
    [report] = rotate(token(site.store_url))
    [event] = site.events()
    assert (event["type"], event["reason"]) == ("Warning", "RotationFailed")
    assert event["message"] == f"luna: {report.error}"


def test_each_store_shows_its_own_part(
    site: Site, api: Sandbox, rotate: Rotate, tmp_path: Path
) -> None:
    away = f"dotenv:{tmp_path}/gone/.env"
    site.put(api.issue(days=3))
    rotate(token(site.store_url, away))
    assert sorted(shown(site)) == [("Normal", "Rotated"), ("Warning", "RotationFailed")]
    (failed,) = [each for each in site.events() if each["type"] == "Warning"]
    assert f"{tmp_path}/gone" in failed["message"]


def test_without_the_right_a_rotation_is_as_good_and_says_nothing(
    site: Site, api: Sandbox, rotate: Rotate, stand_in: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in.forbidden = "events"
    site.put(api.issue(days=3))
    [report] = rotate(token(site.store_url))
    assert (report.action, report.error, site.events()) == (Action.ROTATED, None, [])
    told = (
        "user system:serviceaccount:.* may not create events in the namespace .*: grant it a Role"
    )
    assert re.search(told, caplog.text)
    assert not [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")]


def test_who_may_not_create_events_is_told_the_right(site: Site) -> None:
    store = opened(site.store_url, site.variables(site.upstream, CHECKER))
    with pytest.raises(StoreDeniedError, match=r"resources: \[events\], verbs: \[create\]"):
        store.show(StoreEvent("Rotated", "x", MOMENT))


def test_a_secret_that_is_not_there_has_no_events(vacant: Site) -> None:
    store_of(vacant).show(StoreEvent("Rotated", "x", MOMENT))
    assert vacant.events() == []


@pytest.mark.parametrize("sign", ["x", "ä", "🌙"])
def test_a_message_is_no_longer_than_the_server_takes(sign: str) -> None:
    event = describe_event(StoreEvent("RotationFailed", sign * 2000, MOMENT), ADDRESS, None)
    assert len(event["message"].encode()) <= 1024
    assert event["message"].startswith(sign * 250)
    assert event["message"].endswith("…")
    short = describe_event(StoreEvent("Rotated", "short", MOMENT), ADDRESS, "u-1")
    assert short["message"] == "short"


def test_an_event_has_what_the_server_and_its_readers_want() -> None:
    event = describe_event(StoreEvent("Rotated", "x", MOMENT), ADDRESS, "u-1")
    assert event["metadata"] == {"generateName": "luna.", "namespace": "bots"}
    assert event["involvedObject"]["namespace"] == event["metadata"]["namespace"]
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-11-23T09:12:33Z"
    assert event["reportingComponent"] == event["source"]["component"] == "nocturna-rotator"
