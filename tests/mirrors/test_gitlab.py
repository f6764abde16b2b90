"""Variables of GitLab CI: what else they are stays, and what they hold is compared."""

import re
from pathlib import Path

import pytest

from rotator.errors import ConfigError, StoreDeniedError, StoreError, StoreUnreachableError
from rotator.stores.mirrors import Mirror, Seen, digest_of, open_mirror
from tests.mirrors.servers import Gitlab, Serve

SECRET = "a.made-up.token"


@pytest.fixture
def gitlab() -> Gitlab:
    return Gitlab("bots/night/luna")


@pytest.fixture
def host(gitlab: Gitlab, serve: Serve) -> str:
    return serve(gitlab).removeprefix("http://")


def mirror_at(host: str, options: str = "", project: str = "bots/night/luna") -> Mirror:
    return open_mirror(f"gitlab://{host}/{project}{options}#TOKEN", Path())


def test_a_variable_is_made_masked_and_replaced(gitlab: Gitlab, host: str) -> None:
    mirror = mirror_at(host)
    assert mirror.seen() is None
    for secret in (SECRET, "another"):
        mirror.push(secret)
        kept = gitlab.variables["TOKEN", "*"]
        assert (kept["value"], kept["masked"]) == (secret, True)
        assert mirror.seen() == Seen(digest=digest_of(secret))
    assert open_mirror(mirror.url, Path()).url == mirror.url


def test_what_else_it_is_stays(gitlab: Gitlab, host: str) -> None:
    about = {"protected": True, "masked": True, "raw": False, "description": "of the night shift"}
    for scope in ("*", "production"):
        gitlab.variables["TOKEN", scope] = {**about, "variable_type": "file", "value": "theirs"}
    mirror_at(host, "?scope=production").push(SECRET)
    assert gitlab.variables["TOKEN", "*"]["value"] == "theirs"
    kept = gitlab.variables["TOKEN", "production"]
    assert kept == {
        **about,
        "variable_type": "file",
        "value": SECRET,
        "environment_scope": "production",
    }


def test_of_a_hidden_variable_nothing_is_known(gitlab: Gitlab, host: str) -> None:
    gitlab.variables["TOKEN", "*"] = {"value": "theirs", "hidden": True, "masked": True}
    mirror_at(host).push(SECRET)
    assert gitlab.variables["TOKEN", "*"]["value"] == SECRET
    assert mirror_at(host).seen() == Seen()


def test_a_project_that_is_missing_is_no_missing_variable(gitlab: Gitlab, host: str) -> None:
    mirror = mirror_at(host, project="bots/none")
    for act in (mirror.seen, lambda: mirror.push(SECRET)):
        with pytest.raises(StoreError, match="GitLab knows no such project"):
            act()
    assert gitlab.variables == {}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, StoreDeniedError), (403, StoreDeniedError), (500, StoreUnreachableError)],
)
def test_a_refusal_is_told(gitlab: Gitlab, host: str, status: int, kind: type[StoreError]) -> None:
    gitlab.broken = status
    mirror = mirror_at(host)
    for act in (mirror.seen, lambda: mirror.push(SECRET)):
        with pytest.raises(kind, match=re.escape(f"{mirror.url}: GitLab ")) as caught:
            act()
        assert SECRET not in str(caught.value)


def test_another_host_is_called_by_https_alone() -> None:
    mirror = open_mirror("gitlab://gitlab.example.com:8443/bots/luna#TOKEN", Path())
    assert mirror._server.base == "https://gitlab.example.com:8443/api/v4"  # type: ignore[attr-defined] # noqa: SLF001


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("gitlab://gitlab.com#TOKEN", "needs a host and a project"),
        ("gitlab:bots/luna#TOKEN", "needs a host and a project"),
        ("gitlab://gitlab.com/luna#TOKEN", "needs a host and a project"),
        ("gitlab://gitlab.com/bots/luna#a-b", "use letters, digits and"),
        ("gitlab://gitlab.com/bots/luna?env=prod#A", "take the options scope"),
        ("gitlab://git lab/bots/luna", "expected a store URL"),
        ("gitlab://gitlab.com:x/bots/luna#A", "expected the host of a gitlab: mirror"),
    ],
)
def test_a_mistake_in_a_url_is_told(url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        open_mirror(url, Path())
