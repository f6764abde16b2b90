"""What botocore knows stays in botocore."""

import logging

import pytest

from rotator.testing.rig import new_journal, new_secret, write
from tests.aws.conftest import store_at
from tests.aws.site import READING, WRITING, Site


def test_no_log_has_a_secret_even_at_debug(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.put(old := new_secret())
    keys = site.aws.may(*READING, *WRITING)
    store_at(site.store_url, site.aws).read()
    names = [name for name in logging.root.manager.loggerDict if name.startswith("botocore")]
    for name in ("", "botocore", "boto3", "urllib3", *names):
        caplog.set_level(logging.DEBUG, logger=name)
    write(store_at(site.store_url, site.aws), new := new_secret(), new_journal())
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}
    assert not [text for text in (old, new, *keys.values()) if text in caplog.text]
    assert "Credential=" not in caplog.text
