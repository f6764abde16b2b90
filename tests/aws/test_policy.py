"""The policies that the documentation prints: enough, not more, and missed with a clear word.

moto knows only the actions of a policy, see `tests.aws.site`; that the resource is right, and what
KMS says, it cannot tell.
"""

import json
import re
from pathlib import Path

import pytest

from backends.aws.address import AwsAddress
from backends.aws.clients import new_client
from backends.aws.store import SecretsManagerStore
from rotator.errors import StoreDeniedError
from rotator.stores.journal import Journal
from rotator.stores.port import parse_url
from rotator.testing.rig import new_intent, new_journal, new_secret, read_back
from tests.aws.conftest import store_at
from tests.aws.site import READING, REGION, WRITING, Aws, Site

DOCS = Path(__file__).parents[2] / "docs"


def printed() -> list[list[str]]:
    """Return the actions of each policy in the documentation."""
    pages = [page.read_text() for page in sorted(DOCS.glob("*.md"))]
    text = next(page for page in pages if '"secretsmanager:' in page)
    policies = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    actions = [policy["Statement"][0]["Action"] for policy in policies if "Statement" in policy]
    return [each for each in actions if each[0].startswith("secretsmanager:")]


def test_the_printed_policies_are_those_under_test() -> None:
    rotating, looking = printed()
    assert rotating == [f"secretsmanager:{operation}" for operation in (*READING, *WRITING)]
    assert looking == [f"secretsmanager:{operation}" for operation in READING]


def test_a_rotation_calls_all_that_the_policy_allows_and_nothing_else(site: Site) -> None:
    called: set[str] = set()
    keys = site.aws.may(*READING, *WRITING)
    client = new_client(REGION, attempts=1, endpoint_url=site.upstream, **keys)
    client.meta.events.register("before-call", lambda model, **_: called.add(model.name))
    address = AwsAddress.parse(parse_url(site.store_url, Path()), lambda: None)
    store = SecretsManagerStore(address, lambda: client)
    store.read()
    assert called <= set(READING)
    rotate(store)
    rotate(store)
    assert called == {*READING, *WRITING}
    called.clear()
    store.preflight()
    assert called == {*READING, *WRITING}


@pytest.mark.sample(3)
@pytest.mark.parametrize("missing", WRITING)
@pytest.mark.parametrize("present", [True, False])
def test_preflight_names_each_right_that_is_missing(
    aws: Aws, missing: str, *, present: bool
) -> None:
    site = Site(aws, field="T" if present else None)
    others = [operation for operation in (*READING, *WRITING) if operation != missing]
    store = store_at(site.store_url, aws, keys=aws.may(*others))
    with pytest.raises(StoreDeniedError) as caught:
        store.preflight()
    resource = f"arn:aws:secretsmanager:{REGION}:*:secret:{site.name}-??????"
    assert f"AWS denies secretsmanager:{missing}: allow it on {resource}" in str(caught.value)


def test_preflight_names_all_rights_that_are_missing_at_once(site: Site) -> None:
    for missing in (("TagResource", "UntagResource"), WRITING):
        others = [operation for operation in (*READING, *WRITING) if operation not in missing]
        store = store_at(site.store_url, site.aws, keys=site.aws.may(*others))
        with pytest.raises(StoreDeniedError) as caught:
            store.preflight()
        names = ", ".join(f"secretsmanager:{operation}" for operation in missing)
        resource = f"arn:aws:secretsmanager:{REGION}:*:secret:{site.name}-??????"
        assert str(caught.value) == f"{store.url}: AWS denies {names}: allow them on {resource}"


@pytest.mark.parametrize("missing", READING)
def test_reading_names_each_right_that_is_missing(site: Site, missing: str) -> None:
    others = [operation for operation in READING if operation != missing]
    store = store_at(site.store_url, site.aws, keys=site.aws.may(*others))
    with pytest.raises(StoreDeniedError, match=f"AWS denies secretsmanager:{missing}: allow it"):
        store.read()


def test_who_may_create_needs_that_right_alone_in_addition(aws: Aws) -> None:
    site = Site(aws)
    url = f"aws-secretsmanager://{site.name}-new?region={REGION}&create=true#T"
    store = store_at(url, aws)
    store.preflight()
    with pytest.raises(StoreDeniedError) as caught:
        store.note(Journal(intents=(new_intent(),)), expected=store.read().version)
    resource = f"arn:aws:secretsmanager:{REGION}:*:secret:{site.name}-new*"
    assert f"AWS denies secretsmanager:CreateSecret: allow it on {resource}" in str(caught.value)
    rotate(store_at(url, aws, keys=aws.may(*READING, *WRITING, "CreateSecret")))


@pytest.mark.parametrize("missing", ["TagResource", "UntagResource", "UpdateSecretVersionStage"])
def test_preflight_proves_what_it_can_before_a_secret_exists(aws: Aws, missing: str) -> None:
    url = f"aws-secretsmanager://not/there?region={REGION}&create=true#T"
    others = [operation for operation in (*READING, *WRITING) if operation != missing]
    with pytest.raises(StoreDeniedError, match=f"secretsmanager:{missing}"):
        store_at(url, aws, keys=aws.may(*others)).preflight()


def rotate(store: SecretsManagerStore) -> None:
    """Do what a rotation does, with an intent before and a record after it."""
    store.preflight()
    intent = Journal(intents=(new_intent(),))
    version = store.note(intent, expected=store.read().version)
    store.write(secret := new_secret(), journal := new_journal(), expected=version)
    assert read_back(store) == (secret, journal)
