"""Secrets of GitHub Actions: sealed for GitHub, and seen by their date alone."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import ConfigError, StoreDeniedError, StoreError, StoreUnreachableError
from rotator.stores.mirrors import Seen, open_mirror
from tests.mirrors.servers import START, Github, Serve

SECRET = "a.made-up.token"
REPO = "/repos/luna/bot/actions/secrets/TOKEN"
PLACES = (
    "/repos/luna/bot/actions/",
    "/orgs/luna/actions/",
    "/repos/luna/bot/environments/eu%2Fprod/",
)
CASES = {
    "github-actions://luna/bot#TOKEN": REPO,
    "github-actions://Luna/Bot#token": REPO,
    "github-actions://luna#TOKEN": "/orgs/luna/actions/secrets/TOKEN",
    "github-actions://luna/bot?environment=eu%2Fprod#TOKEN": (
        "/repos/luna/bot/environments/eu%2Fprod/secrets/TOKEN"
    ),
}


@pytest.fixture
def github(serve: Serve) -> Github:
    github = Github(*PLACES)
    serve(github)
    return github


@pytest.mark.sample(2)
@pytest.mark.parametrize(("url", "path"), CASES.items())
def test_a_secret_is_made_and_replaced(github: Github, url: str, path: str) -> None:
    mirror = open_mirror(url, Path())
    assert mirror.seen() is None
    for number, secret in enumerate((SECRET, "another"), 1):
        mirror.push(secret)
        assert github.held(path) == secret
        assert mirror.seen() == Seen(START + timedelta(seconds=number))
    assert open_mirror(mirror.url, Path()).url == mirror.url


@pytest.mark.parametrize("visibility", ["all", "private"])
def test_who_sees_an_organisations_secret_stays(github: Github, visibility: str) -> None:
    path = "/orgs/luna/actions/secrets/TOKEN"
    open_mirror(f"github-actions://luna?visibility={visibility}#TOKEN", Path()).push(SECRET)
    open_mirror("github-actions://luna#TOKEN", Path()).push("another")
    assert (github.held(path), github.secrets[path]["visibility"]) == ("another", visibility)


def test_the_selected_repositories_stay(github: Github) -> None:
    path, chosen = "/orgs/luna/actions/secrets/TOKEN", [*range(1, 151)]
    mirror = open_mirror("github-actions://luna?visibility=selected#TOKEN", Path())
    mirror.push(SECRET)
    github.repositories[path] = chosen
    mirror.push("another")
    assert github.secrets[path]["selected_repository_ids"] == chosen


def test_a_repository_that_is_missing_is_no_missing_secret(github: Github) -> None:
    mirror = open_mirror("github-actions://luna/none#TOKEN", Path())
    for act in (mirror.seen, lambda: mirror.push(SECRET)):
        with pytest.raises(StoreError, match="GitHub knows no such repository"):
            act()
    assert github.secrets == {}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, StoreDeniedError),
        (403, StoreDeniedError),
        (429, StoreUnreachableError),
        (502, StoreUnreachableError),
        (302, StoreError),
        (422, StoreError),
    ],
)
def test_a_refusal_is_told(github: Github, status: int, kind: type[StoreError]) -> None:
    mirror = open_mirror("github-actions://luna/bot#TOKEN", Path())
    github.broken = status
    for act in (mirror.seen, lambda: mirror.push(SECRET)):
        with pytest.raises(kind, match=re.escape(f"{mirror.url}: GitHub ")) as caught:
            act()
        assert SECRET not in str(caught.value)
        assert "broken" not in str(caught.value)


def test_what_does_not_answer_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GH_TOKEN", "x")
    with pytest.raises(StoreUnreachableError, match="cannot be used"):
        open_mirror("github-actions://luna/bot#TOKEN", Path()).seen()


@pytest.mark.parametrize(("token", "text"), [("", "there is no login"), ("a\nb", "line breaks")])
def test_a_login_that_is_none_is_told(
    github: Github, monkeypatch: pytest.MonkeyPatch, token: str, text: str
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.setenv("GH_TOKEN", token)
    with pytest.raises(StoreDeniedError, match=text):
        open_mirror("github-actions://luna/bot#TOKEN", Path()).seen()
    assert github.calls == []


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("github-actions:luna/bot", "needs a repository or an organisation"),
        ("github-actions://luna/bot/x", "needs a repository or an organisation"),
        ("github-actions://luna/bot#GITHUB_TOKEN", "do not begin with GITHUB_"),
        ("github-actions://luna/bot#a-b", "use letters, digits and"),
        ("github-actions://luna?environment=prod#A", "an environment is that of a repository"),
        ("github-actions://luna/bot?visibility=all#A", "of a secret of an organisation, one of"),
        ("github-actions://luna/bot?env=prod#A", "take the options environment, visibility"),
        ("dotenv:.env", "no installed package serves dotenv: mirrors"),
    ],
)
def test_a_mistake_in_a_url_is_told(url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        open_mirror(url, Path())


def test_a_server_that_the_network_could_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://github.example.com/api/v3")
    with pytest.raises(ConfigError, match="GITHUB_API_URL is no https:// URL"):
        open_mirror("github-actions://luna/bot#TOKEN", Path())
