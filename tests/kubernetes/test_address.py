"""Store URLs of the scheme `kubernetes`; nothing here looks at any network."""

import sys
from pathlib import Path

import pytest

from backends.kubernetes import store
from backends.kubernetes.address import KubernetesAddress
from backends.remote import require_module
from rotator.errors import ConfigError
from rotator.stores.port import parse_url
from rotator.stores.registry import Backends


def address(text: str) -> KubernetesAddress:
    return KubernetesAddress.parse(parse_url(text, Path()))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("kubernetes://bots/luna", "kubernetes://bots/luna#NOCTURNA_SERVICE_TOKEN"),
        ("Kubernetes://bots/luna#API_TOKEN", "kubernetes://bots/luna#API_TOKEN"),
        ("kubernetes://bots/luna?create=true#a.b-c", "kubernetes://bots/luna#a.b-c"),
        ("kubernetes://bots/lu%6Ea?create=false#T", "kubernetes://bots/luna#T"),
        ("kubernetes://bots/a.b?context=prod#T", "kubernetes://bots/a.b?context=prod#T"),
        ("kubernetes://b/l?context=a%3Fb%26c#T", "kubernetes://b/l?context=a%3Fb%26c#T"),
        (
            "kubernetes://b/l?context=arn:aws:eks:eu-west-1:1:cluster/x%20y#T",
            "kubernetes://b/l?context=arn:aws:eks:eu-west-1:1:cluster/x%20y#T",
        ),
    ],
)
def test_the_same_secret_has_the_same_url(text: str, canonical: str) -> None:
    assert Backends().open(text, Path()).url == canonical
    assert Backends().open(canonical, Path()).url == canonical


@pytest.mark.parametrize("query", ["", "?context=a%26b"])
def test_the_url_that_creates_differs_in_that_alone(query: str) -> None:
    one = address(f"kubernetes://bots/luna{query}#T")
    other = address(one.creating)
    assert (one.create, other.create) == (False, True)
    assert other.canonical == one.canonical
    assert other.context == one.context


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kubernetes:luna", "write kubernetes://NAMESPACE/NAME#KEY"),
        ("kubernetes:bots/luna", "write kubernetes://NAMESPACE/NAME#KEY"),
        ("kubernetes://bots", "write kubernetes://NAMESPACE/NAME#KEY"),
        ("kubernetes:///luna", "write kubernetes://NAMESPACE/NAME#KEY"),
        ("kubernetes://bots/", "write kubernetes://NAMESPACE/NAME#KEY"),
        ("kubernetes://Bots/luna", '"Bots" is no name of a namespace'),
        (f"kubernetes://{'n' * 64}/luna", "is no name of a namespace"),
        ("kubernetes://bots/lu_na", '"lu_na" is no name of a Secret'),
        ("kubernetes://bots/luna/token", "is no name of a Secret"),
        ("kubernetes://bots/luna..b", "is no name of a Secret"),
        (f"kubernetes://bots/{'n' * 254}", "is no name of a Secret"),
        ("kubernetes://bots/luna#a/b", "stands a key of the Secret"),
        ("kubernetes://bots/luna#..", "stands a key of the Secret"),
        ("kubernetes://bots/luna#eyJ-that-is.made.up/x", "found a store URL with a token"),
        ("kubernetes://bots/luna#T?create=true", "stand before the `#`"),
        ("kubernetes://bots/luna#T&create=true", "stand before the `#`"),
        ("kubernetes://bots/luna?context=here?create=true#T", "join options with `&`"),
        ("kubernetes://bots/luna?create=true?context=here", "join options with `&`"),
        ("kubernetes://bots/luna?create=yes", 'create=false, found "yes"'),
        ("kubernetes://bots/luna?context=", "the name of a context"),
        ("kubernetes://bots/luna?creat=1&b=2", 'options context, create, found "b", "creat"'),
    ],
)
def test_a_url_that_names_no_key_of_a_secret_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Backends().open(text, Path())
    assert told in str(caught.value)
    assert "made.up" not in str(caught.value)


def test_every_key_has_an_annotation_of_its_own_that_fits() -> None:
    keys = ["T", "t", "T" * 55, "T" * 56, "T" * 57, "T_", "T-", "T.", "-T", "_", "T" * 253]
    names = [address(f"kubernetes://bots/luna#{key}").annotation for key in keys]
    assert len(set(names)) == len(keys)
    assert names[0] == "nocturna-rotator/journal.T"
    assert names[2] == f"nocturna-rotator/journal.{'T' * 55}"
    parts = [name.removeprefix("nocturna-rotator/") for name in names]
    assert all(len(part) <= 63 and part[0].isalnum() and part[-1].isalnum() for part in parts)


def test_without_the_sdk_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    require_module.cache_clear()
    with pytest.raises(ModuleNotFoundError) as caught:
        store.open_store(parse_url("kubernetes://bots/luna", Path()))
    assert caught.value.name == "yaml"
