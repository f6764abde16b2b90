"""`rotator access-token` as a process: what it prints, and when it fails."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.accessing.support import EXCHANGE, folder, prepare, printed
from tests.support.process import Result, Runner
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE


@pytest.fixture(autouse=True)
def _prepared(rotator: Runner) -> None:
    prepare(rotator)


def works(api: Sandbox, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(
        f"{api.url}/stateless/natal-chart", json=BIRTH, headers=headers, timeout=PATIENCE
    ).ok


def failed(result: Result, status: int) -> str:
    assert (result.status, result.out, result.err.count("\n")) == (status, "", 1)
    return result.err.strip()


def test_it_prints_an_access_token_that_the_api_accepts(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue())
    rotator.env_file.chmod(0o400)
    assert works(api, printed(rotator))
    assert api.calls[0] == EXCHANGE
    assert not folder(rotator).exists()


def test_it_prints_the_header_that_curl_reads(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue())
    name, _, value = printed(rotator, "default", "--header").partition(": ")
    assert name == "Authorization"
    assert works(api, value.removeprefix("Bearer "))


def test_curl_takes_it_without_a_token_in_its_arguments(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue())
    arguments: list[bytes] = []

    def look() -> None:
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended
                arguments.append(file.read_bytes())

    api.misbehave(Fault.meanwhile(look, "before"), "POST /stateless/natal-chart")
    url = f"{api.url}/stateless/natal-chart"
    answer = f"--json '{json.dumps(BIRTH)}' -sS -o /dev/null -w '%{{http_code}}'"
    result = rotator.in_shell(f"rotator access-token --header | curl -H @- {answer} {url}")
    assert (result.out, result.err) == ("200", "")
    of_curl = [each for each in arguments if each.startswith(b"curl\0")]
    assert any(url.encode() in each for each in of_curl)
    assert not any(b"Bearer" in each for each in of_curl)


def test_of_several_tokens_one_is_named(rotator: Runner, api: Sandbox) -> None:
    tables = [f'[[token]]\nname="{name}"\nstores=["dotenv:{name}.env"]\n' for name in "ab"]
    (rotator.folder / "rotator.toml").write_text("".join(tables))
    del rotator.env["ROTATOR_STORE"]
    rotator.write_env(api.issue())
    rotator.env_file.rename(rotator.folder / "b.env")
    line = failed(rotator("access-token"), 2)
    assert line == "rotator: access-token: found no NAME, expected one of: a, b"
    assert works(api, printed(rotator, "b"))
    assert 'there is no token "c"' in failed(rotator("access-token", "c"), 2)


def test_without_a_url_nothing_is_read(rotator: Runner) -> None:
    assert "NOCTURNA_API_URL: found nothing" in failed(
        rotator("access-token", NOCTURNA_API_URL=""), 2
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A=1\n", "there is no token; rotator rotate makes a new one"),
        ("NOCTURNA_SERVICE_TOKEN=hunter2\n", "the value is not a JWT; rotator rotate makes"),
    ],
)
def test_where_no_store_has_a_token_one_line_says_so(
    rotator: Runner, api: Sandbox, content: str, message: str
) -> None:
    rotator.env_file.write_text(content)
    rotator.env_file.chmod(0o600)
    line = failed(rotator("access-token"), 1)
    assert line.startswith(f"rotator: default: dotenv://{rotator.env_file}#")
    assert message in line
    assert api.calls == []


def test_an_expired_token_is_not_sent(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=-1))
    assert ": expired 1 day ago (" in failed(rotator("access-token"), 1)
    assert api.calls == []


def test_a_store_that_cannot_be_read_is_told(rotator: Runner, api: Sandbox) -> None:
    rotator.env_file.mkdir()
    assert f"default: dotenv://{rotator.env_file}#" in failed(rotator("access-token"), 1)
    assert api.calls == []


def test_a_refused_service_token_is_one_line(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue())
    (row,) = api.tokens
    api.revoke(row.id)
    for options in ((), ("--cache",)):
        assert failed(rotator("access-token", *options), 1) == (
            f"rotator: default: the API does not accept service token {row.id} (401), and there is"
            f" no other in dotenv://{rotator.env_file}#NOCTURNA_SERVICE_TOKEN;"
            " renew it: rotator rotate"
        )


def test_a_token_that_is_rotated_at_that_moment_is_no_failure(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue())
    (old,) = api.tokens

    def rotate() -> None:
        rotator.write_env(api.issue())
        api.revoke(old.id)

    api.misbehave(Fault.meanwhile(rotate, "before"), "POST /auth/service-token/refresh")
    assert works(api, printed(rotator))


def test_an_api_that_is_away_is_one_line(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue())
    api.misbehave(Fault.unavailable(), times=None)
    assert "not able to answer now (503)" in failed(rotator("access-token"), 1)


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_a_token_that_reaches_nobody_is_a_failure(
    rotator: Runner, api: Sandbox, redirection: str
) -> None:
    rotator.write_env(api.issue())
    result = rotator.in_shell(f"rotator access-token {redirection}")
    assert result.status in (1, 2)
    assert result.err.count("\n") == 1
