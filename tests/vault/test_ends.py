"""What Vault says of the end of a version: `delete_version_after` of the secret or its mount."""

from datetime import UTC, datetime, timedelta

from rotator.stores.port import Entry
from rotator.testing.rig import new_journal, new_secret, write
from tests.vault.helpers import open_vault
from tests.vault.site import Site

_MINUTE = timedelta(minutes=1)


def end_of(site: Site) -> datetime | None:
    entry = open_vault(site.store_url, site.variables(site.upstream)).read()
    assert isinstance(entry, Entry)
    return entry.ends_at


def write_new(site: Site) -> datetime:
    write(open_vault(site.store_url, site.variables(site.upstream)), new_secret(), new_journal())
    return datetime.now(UTC)


def test_a_version_that_stays_has_no_end(site: Site) -> None:
    write_new(site)
    assert end_of(site) is None


def test_delete_version_after_of_the_secret_is_told(site: Site) -> None:
    site.put(new_secret())
    site.bao.call("POST", site.metadata, {"delete_version_after": "720h"})
    now = write_new(site)
    end = end_of(site)
    assert end is not None
    assert abs(end - now - timedelta(days=30)) < _MINUTE


def test_delete_version_after_of_the_mount_is_told(site: Site) -> None:
    site.bao.mount(mount := f"brief-{site.path.replace('/', '-')}")
    site.bao.call("POST", f"{mount}/config", {"delete_version_after": "240h"})
    brief = Site(site.bao, mount)
    now = write_new(brief)
    end = end_of(brief)
    assert end is not None
    assert abs(end - now - timedelta(days=10)) < _MINUTE
