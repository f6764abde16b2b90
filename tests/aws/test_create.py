"""Secrets that are not there yet, with leave to create them and without."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from rotator.errors import ConflictError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent
from rotator.testing.rig import new_intent, new_journal, new_secret, read_back
from tests.aws.conftest import store_at
from tests.aws.site import READING, REGION, WRITING, Aws, Site


class Missing:
    def __init__(self, aws: Aws, options: str = "&create=true") -> None:
        self.aws = aws
        self.name = f"bots/{uuid.uuid4().hex[:8]}"
        self.url = f"aws-secretsmanager://{self.name}?region={REGION}{options}#T"
        keys = aws.may(*READING, *WRITING, "CreateSecret")
        self.store = store_at(self.url, aws, keys=keys)

    def is_there(self) -> bool:
        operator = self.aws.operator()
        try:
            operator.describe_secret(SecretId=self.name)
        except operator.exceptions.ResourceNotFoundException:
            return False
        return True


def test_without_leave_a_missing_secret_is_no_answer(aws: Aws) -> None:
    missing = Missing(aws, options="")
    for act in (
        missing.store.read,
        missing.store.preflight,
        lambda: missing.store.write("x", Journal(), expected=""),
        lambda: missing.store.note(Journal(), expected=""),
    ):
        with pytest.raises(StoreUnreachableError, match="no such secret in eu-west-1: create it"):
            act()
    assert not missing.is_there()


def test_the_url_that_a_missing_secret_is_told_with_is_one_that_creates_it(aws: Aws) -> None:
    missing = Missing(aws, options="")
    with pytest.raises(StoreUnreachableError) as caught:
        missing.store.read()
    (url,) = re.findall("'(.*)'", str(caught.value))
    keys = aws.may(*READING, *WRITING, "CreateSecret")
    store = store_at(url, aws, keys=keys)
    store.write(secret := new_secret(), Journal(), expected=store.read().version)
    assert read_back(missing.store)[0] == secret


def test_an_arn_of_no_secret_is_to_be_corrected_as_none_can_be_created_by_it(aws: Aws) -> None:
    arn = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:gone-AbCdEf"
    with pytest.raises(StoreUnreachableError, match="no such secret in eu-west-1: correct the ARN"):
        store_at(f"aws-secretsmanager://{arn}#T", aws).read()


def test_an_empty_value_is_none_and_a_write_replaces_it(site: Site) -> None:
    site.put("")
    store = store_at(site.store_url, site.aws)
    assert read_back(store) == (None, Journal())
    version = store.note(noted := Journal(intents=(new_intent(),)), expected=store.read().version)
    assert read_back(store) == (None, noted)
    store.write(secret := new_secret(), journal := new_journal(), expected=version)
    assert read_back(store) == (secret, journal)


def test_reading_and_preflight_create_nothing(aws: Aws) -> None:
    missing = Missing(aws)
    assert isinstance(missing.store.read(), Absent)
    missing.store.preflight()
    assert not missing.is_there()


def test_a_note_creates_the_secret_without_a_value(aws: Aws) -> None:
    missing = Missing(aws)
    journal = Journal(intents=(new_intent(),))
    version = missing.store.note(journal, expected=missing.store.read().version)
    assert read_back(missing.store) == (None, journal)
    missing.store.preflight()
    missing.store.write(secret := new_secret(), journal := new_journal(), expected=version)
    assert read_back(missing.store) == (secret, journal)


def test_a_write_creates_the_secret_with_its_key(aws: Aws) -> None:
    missing = Missing(aws, options="&create=true&kms_key_id=alias/bots")
    missing.store.write(secret := new_secret(), Journal(), expected=missing.store.read().version)
    assert read_back(missing.store)[0] == secret
    about = aws.operator().describe_secret(SecretId=missing.name)
    assert about["KmsKeyId"] == "alias/bots"


def test_of_two_that_create_it_at_once_one_wins(aws: Aws) -> None:
    missing = Missing(aws)
    version = missing.store.read().version

    def run(secret: str) -> bool:
        try:
            missing.store.write(secret, new_journal(), expected=version)
        except ConflictError:
            return False
        return True

    secrets = [new_secret(), new_secret()]
    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(run, secrets))
    assert sorted(won) == [False, True]
    assert read_back(missing.store)[0] == secrets[won.index(True)]
