"""Store URLs: what they mean, and which are refused before anything is looked at."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest

from backends.aws.store import SecretsManagerStore, open_store
from rotator.errors import ConfigError
from rotator.stores.port import parse_url

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:bots/luna-AbCdEf"


@pytest.fixture(autouse=True)
def _no_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def opened(rest: str) -> SecretsManagerStore:
    return open_store(parse_url(f"aws-secretsmanager:{rest}", Path()))


@pytest.mark.parametrize(
    ("rest", "canonical"),
    [
        ("//luna?region=eu-west-1", "//luna?region=eu-west-1"),
        ("//bots/luna?region=eu-west-1#TOKEN", "//bots/luna?region=eu-west-1#TOKEN"),
        ("//bots%2Fluna?region=eu-west-1#TOKEN", "//bots/luna?region=eu-west-1#TOKEN"),
        ("///bots/luna?region=us-gov-west-1", "///bots/luna?region=us-gov-west-1"),
        ("//a%40b/c+d=e.f_g?region=eu-west-1", "//a%40b/c+d=e.f_g?region=eu-west-1"),
        (f"//{ARN}#TOKEN", f"//{ARN}#TOKEN"),
        (f"//{ARN}?region=eu-west-1#TOKEN", f"//{ARN}#TOKEN"),
        ("//l?region=eu-west-1&create=true#T", "//l?region=eu-west-1#T"),
        ("//l?region=eu-west-1&create=true&kms_key_id=alias/bots", "//l?region=eu-west-1"),
        ("//l?region=eu-west-1#a%20key%23%C3%A9", "//l?region=eu-west-1#a%20key%23%C3%A9"),
        ("//l?region=eu-west-1#%3Fa&b%26create=", "//l?region=eu-west-1#%3Fa%26b%26create="),
    ],
)
def test_every_url_has_a_canonical_form_that_means_the_same(rest: str, canonical: str) -> None:
    assert opened(rest).url == f"aws-secretsmanager:{canonical}"
    assert opened(canonical).url == f"aws-secretsmanager:{canonical}"


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("luna?region=eu-west-1", "needs the name or ARN of a secret"),
        ("//?region=eu-west-1", "needs the name or ARN of a secret"),
        ("//lu%20na?region=eu-west-1", "needs the name or ARN of a secret"),
        ("//arn:aws:s3:eu-west-1:123456789012:secret:luna", "needs the name or ARN of a secret"),
        ("//luna?zone=a", 'take the options region, create, kms_key_id, found "zone"'),
        ("//luna", "needs a region: add \\?region=eu-west-1"),
        ("//luna?create=true#T", "needs a region: add &region=eu-west-1"),
        ("//luna#T?region=eu-west-1", "stand before the `#`"),
        ("//luna?region=eu-west-1#T?create=true", "stand before the `#`"),
        ("//luna?region=eu-west-1#T&create=true", "stand before the `#`"),
        ("//luna?region=eu-west-1?create=true#T", "join options with `&`"),
        ("//luna?create=true?region=eu-west-1", "join options with `&`"),
        ("//luna?region=", "expected a region such as eu-west-1"),
        ("//luna?region=evil.example/", "expected a region such as eu-west-1"),
        (f"//{ARN}?region=eu-north-1", "this ARN is in eu-west-1"),
        (f"//{ARN}?create=true", "use create=true with a name"),
        ("//luna?region=eu-west-1&create=yes", 'expected create=true or create=false, found "yes"'),
        ("//luna?region=eu-west-1&kms_key_id=alias/a", "add &create=true \\(before the #\\), or"),
        ("//luna?region=eu-west-1&create=true&kms_key_id=", "expected an id, alias or ARN"),
        ("//luna?region=eu-west-1#a%0Ab", "stands a key of its JSON"),
    ],
)
def test_a_url_that_means_nothing_is_refused(rest: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        opened(rest)
    assert "\n" not in str(caught.value)


def test_a_token_in_the_wrong_place_is_not_repeated() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoic2VydmljZV90b2tlbiJ9.made-up"
    for rest in (f"//lu na{token}", f"//l?region={token}", f"//l?region=eu-west-1&create={token}"):
        with pytest.raises(ConfigError) as caught:
            opened(rest.replace(" ", "%20"))
        assert "made-up" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({}, "eu-west-3"),
        ({"AWS_PROFILE": "night"}, "eu-north-1"),
    ],
)
def test_the_region_comes_from_the_environment_or_the_profile(
    variables: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-west-3\n[profile night]\nregion = eu-north-1\n"
    )
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert opened("//luna").url == f"aws-secretsmanager://luna?region={region}"
    assert opened("//luna?region=us-east-1").url.endswith("?region=us-east-1")


def test_a_profile_that_does_not_exist_is_a_mistake_in_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match=r"ProfileNotFound.*correct AWS_PROFILE"):
        opened("//luna")


def test_the_scheme_leads_here() -> None:
    (door,) = entry_points(group="rotator.backends", name="aws-secretsmanager")
    assert door.load() is open_store


def test_the_repr_shows_the_url_only() -> None:
    store = opened("//luna?region=eu-west-1#T")
    assert repr(store) == f"SecretsManagerStore({store.url!r})"
