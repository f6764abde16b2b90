"""Versions that AWS has taken and does not show everywhere yet."""

import json
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from backends.aws.address import AwsAddress
from backends.aws.clients import new_client
from backends.aws.store import SecretsManagerStore
from rotator.stores.port import parse_url
from rotator.testing.rig import new_journal, new_secret, read_back, write
from tests.aws.site import READING, REGION, WRITING, Site


def test_a_new_version_that_aws_does_not_show_yet_is_made_current(site: Site) -> None:
    site.put(new_secret())
    keys = site.aws.may(*READING, *WRITING)
    client = new_client(REGION, attempts=1, endpoint_url=site.upstream, **keys)
    hidden: list[str] = []

    def answer(params: dict[str, Any], **_: object) -> object:
        # AWS is eventually consistent; moto is not.
        version = json.loads(params["body"]).get("VersionId")
        if hidden or version not in site.versions("AWSPENDING"):
            return None
        hidden.append(version)
        missing = {"Error": {"Code": "ResourceNotFoundException"}}
        return SimpleNamespace(status_code=HTTPStatus.BAD_REQUEST), missing

    client.meta.events.register("before-call.secrets-manager.GetSecretValue", answer)
    address = AwsAddress.parse(parse_url(site.store_url, Path()), lambda: None)
    store = SecretsManagerStore(address, lambda: client)
    write(store, secret := new_secret(), journal := new_journal())
    assert hidden == [site.version()]
    assert read_back(store) == (secret, journal)
