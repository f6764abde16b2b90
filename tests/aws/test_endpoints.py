"""Where AWS was expected, something else answers, or nothing at all."""

import json
from pathlib import Path

import pytest

from backends.aws.store import SecretsManagerStore, open_store
from rotator.errors import StoreError, StoreUnreachableError
from rotator.stores.port import parse_url
from tests.aws.answering import Endpoint
from tests.aws.conftest import store_at
from tests.aws.site import Aws, Site
from tests.http_client.support import answering, ok, raw_server
from tests.kubernetes import certificates

URL = "aws-secretsmanager://bots/luna?region=eu-west-1#T"
NO_AWS = "what answers is no AWS Secrets Manager: correct AWS_ENDPOINT_URL"
UNREADABLE = {"ARN": "arn:…", "VersionIdsToStages": {"v" * 32: ["AWSCURRENT"]}}
NAMELESS: dict[str, object] = {"ARN": "arn:…", "Tags": [{"Value": "x"}]}
NUMBERED: dict[str, object] = {"ARN": "arn:…", "Tags": [{"Key": 5, "Value": "x"}]}


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (502, b"<html>bad gateway</html>", "answers with a fault: try again later"),
        (301, b"", NO_AWS),
        (403, b"<html>blocked</html>", NO_AWS),
        (404, b"<html>no such page</html>", NO_AWS),
        (404, b'{"detail": "Not Found"}', NO_AWS),
        (404, b'{"__type": 5}', NO_AWS),
        (404, b"[]", NO_AWS),
        (404, b"\xff", NO_AWS),
        (200, b"<html>welcome to our guest network</html>", NO_AWS),
        (200, b"[]", NO_AWS),
        (200, b"null", NO_AWS),
        (200, b"{}", NO_AWS),
        (200, b"", NO_AWS),
        *((200, json.dumps(body).encode(), NO_AWS) for body in (UNREADABLE, NAMELESS, NUMBERED)),
    ],
)
def test_what_is_no_answer_of_aws_is_no_absent_secret(
    aws: Aws, endpoint: Endpoint, status: int, body: bytes, told: str
) -> None:
    server = endpoint.answer(status, body)
    caught = failure(store_at(URL, aws, server=server))
    assert isinstance(caught, StoreUnreachableError)
    assert told in str(caught)


def test_where_nothing_answers_the_name_of_the_region_may_be_wrong(aws: Aws) -> None:
    store = store_at(URL.replace("west", "wset"), aws, server="http://127.0.0.1:9")
    caught = failure(store)
    assert isinstance(caught, StoreUnreachableError)
    assert "in eu-wset-1 does not answer: check the region's name, the network" in str(caught)


@pytest.mark.parametrize(
    "server",
    [
        "not a url",
        "localhost:4566",
        "127.0.0.1",
        "http://",
        "http://127.0.0.1:99999",
        "http://[::1",
    ],
)
def test_an_endpoint_that_is_no_url_is_told_by_the_name_of_its_variable(
    site: Site, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in site.variables(server).items():
        monkeypatch.setenv(name, value)
    caught = failure(open_store(parse_url(site.store_url, Path())))
    assert "AWS_ENDPOINT_URL is no URL: write it as https://HOST (" in str(caught)


def failure(store: SecretsManagerStore) -> StoreError:
    with pytest.raises(StoreError) as caught:
        store.read()
    return caught.value


def test_a_certificate_that_another_ca_would_not_help_is_told_as_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificates.make(tmp_path, "other", "server", "DNS:other.example")
    tls = certificates.server_tls(tmp_path, "other", "other")
    with raw_server(answering(ok()), tls) as server:
        for name, value in site.variables(server.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "other.crt"))
        told = str(failure(open_store(parse_url(site.store_url, Path()))))
    assert "its certificate is not trusted (other host): use a name of the host" in told
    assert "AWS_CA_BUNDLE" not in told
