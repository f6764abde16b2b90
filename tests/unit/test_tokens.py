import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.errors import MalformedTokenError
from rotator.tokens import ServiceToken, describe_foreign
from tests.support.clock import NOON, FakeClock
from tests.support.sandbox import Sandbox
from tests.unit.jwts import encoded, service_jwt

GOOD = service_jwt(exp=1_800_000_000)


def refusal(text: str) -> MalformedTokenError:
    with pytest.raises(MalformedTokenError) as caught:
        ServiceToken.parse(text)
    return caught.value


def test_a_token_of_the_server_is_read_whole(timed_api: Sandbox, clock: FakeClock) -> None:
    text = timed_api.issue(days=3, scope="charts read")
    token = ServiceToken.parse(text)
    assert token.secret == text
    assert token.token_id == timed_api.tokens[0].id
    assert token.scope == "charts read"
    assert token.expires_at == NOON + timedelta(days=3)
    assert token.expires_at.tzinfo is UTC
    assert token.remaining(clock()) == timedelta(days=3)


def test_an_eternal_token_has_no_end() -> None:
    token = ServiceToken.parse(service_jwt())
    assert token.expires_at is None
    assert token.remaining(NOON) is None


def test_life_after_the_end_is_negative() -> None:
    token = ServiceToken.parse(service_jwt(exp=int(NOON.timestamp()) - 90))
    assert token.remaining(NOON) == timedelta(seconds=-90)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(f"{GOOD}\n", "newline", id="newline after it"),
        pytest.param(f"\r\n{GOOD}", "newline", id="newline before it"),
        pytest.param(f"{GOOD[:30]}\n{GOOD[30:]}", "newline", id="wrapped over two lines"),
        pytest.param(f'"{GOOD}"', "quoted", id="double quotes"),
        pytest.param(f"'{GOOD}", "quoted", id="one single quote before it"),
        pytest.param(f"{GOOD}`", "quoted", id="one backtick after it"),
        pytest.param(f" {GOOD}", "spaces", id="space before it"),
        pytest.param(f"{GOOD}\t", "spaces", id="tab after it"),
        pytest.param(f"{GOOD[:30]} {GOOD[30:]}", "spaces", id="space inside"),
        pytest.param("", "garbage", id="empty"),
        pytest.param("changeme", "garbage", id="one word"),
        pytest.param("a.b", "garbage", id="two parts"),
        pytest.param("a.b.c.d.e", "garbage", id="five parts, as if encrypted"),
        pytest.param("a.b.c", "garbage", id="three parts of nothing"),
        pytest.param(f"Bearer.{GOOD}", "garbage", id="prefixed"),
        pytest.param(GOOD.replace(".", "…", 1), "garbage", id="not ASCII"),
        pytest.param(encoded("[1, 2]"), "garbage", id="claims that are a list"),
        pytest.param(encoded("not JSON"), "garbage", id="claims that are no JSON"),
        pytest.param(encoded('{"type":"service"}', header="[]"), "garbage", id="header is a list"),
        pytest.param("A" * 10_000_000, "garbage", id="10 MB of text"),
        pytest.param(service_jwt(scope="x" * 10_000_000), "garbage", id="10 MB of claims"),
        pytest.param(encoded("[" * 5000 + "]" * 5000), "garbage", id="claims 5000 levels deep"),
        pytest.param(
            encoded('{"exp":' + "9" * 5000 + "}"), "garbage", id="a number of 5000 digits"
        ),
        pytest.param(encoded('{"sub":"u1","exp":1}'), "access_token", id="access token of a login"),
        pytest.param(service_jwt(type="access"), "access_token", id="access token of an exchange"),
        pytest.param(service_jwt(type=None), "access_token", id="type null"),
        pytest.param(service_jwt(type="refresh"), "wrong_type", id="another type"),
        pytest.param(service_jwt(type=["service"]), "wrong_type", id="type in a list"),
        pytest.param(service_jwt(exp=float("nan")), "bad_expiry", id="exp NaN"),
        pytest.param(service_jwt(exp=float("inf")), "bad_expiry", id="exp infinite"),
        pytest.param(service_jwt(exp=10**30), "bad_expiry", id="exp after year 9999"),
        pytest.param(service_jwt(exp=-(10**15)), "bad_expiry", id="exp before year 1"),
        pytest.param(service_jwt(exp="1800000000"), "bad_expiry", id="exp a text"),
        pytest.param(service_jwt(exp=True), "bad_expiry", id="exp true"),
        pytest.param(service_jwt(exp=None), "bad_expiry", id="exp null"),
        pytest.param(service_jwt(exp=[1]), "bad_expiry", id="exp a list"),
    ],
)
def test_what_is_no_bare_service_token_has_a_reason(text: str, reason: str) -> None:
    error = refusal(text)
    assert error.reason == reason
    assert "\n" not in str(error)
    assert len(str(error)) < 80, "the text itself is never repeated"


def test_an_access_token_of_the_server_is_told_from_a_service_token(api: Sandbox) -> None:
    assert refusal(api.access_token()).reason == "access_token"
    assert refusal(api.access_token_for(api.issue())).reason == "access_token"


@pytest.mark.parametrize("token_id", [5, None, "", "a b", "../x", "t" * 65, "é", "x\n"])
def test_an_unusable_id_is_left_out_and_the_fingerprint_names_the_token(token_id: object) -> None:
    token = ServiceToken.parse(service_jwt(token_id=token_id))
    assert token.token_id is None
    assert token.name == f"sha256:{token.fingerprint}"


def test_a_scope_that_is_no_text_is_left_out() -> None:
    assert ServiceToken.parse(service_jwt(scope=["a"])).scope is None


def test_a_usable_id_names_the_token() -> None:
    assert ServiceToken.parse(GOOD).name == "t1"


def test_the_fingerprint_is_the_start_of_the_sha_256() -> None:
    assert ServiceToken.parse(GOOD).fingerprint == sha256(GOOD.encode()).hexdigest()[:12]


def test_a_repr_hides_the_secret() -> None:
    token = ServiceToken.parse(GOOD)
    assert GOOD not in f"{token!r} {token}"
    assert "t1" in repr(token)


def test_a_token_that_expired_long_ago_or_was_signed_by_anybody_is_still_read() -> None:
    text = jwt.encode({"type": "service", "exp": 1, "nbf": 10**10, "aud": "x"}, "k" * 32)
    assert ServiceToken.parse(text).expires_at == datetime.fromtimestamp(1, UTC)


@given(st.text(max_size=80))
def test_any_text_is_refused_in_one_way(text: str) -> None:
    assert refusal(text).reason in {"garbage", "newline", "quoted", "spaces"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=9,
)


@given(st.dictionaries(st.sampled_from(["type", "exp", "scope", "token_id", "sub", "iat"]), _JSON))
def test_hostile_claims_are_read_or_refused_and_nothing_else(claims: dict[str, object]) -> None:
    text = encoded(json.dumps({"type": "service"} | claims))
    with suppress(MalformedTokenError):
        token = ServiceToken.parse(text)
        assert token.expires_at is None or token.expires_at.tzinfo is UTC
        assert token.name.isascii()


BARE = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
FOREIGN = {
    "1Password": ("op://bots/luna/token", "a reference"),
    "bank-vaults": ("vault:secret/data/luna#TOKEN", "a reference"),
    "vals": ("ref+vault://secret/luna#/x", "a reference"),
    "Argo CD's plugin": ("<path:secret/data/luna#token>", "a reference"),
    "CloudFormation": ("{{resolve:secretsmanager:luna}}", "a reference"),
    "AWS": ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:luna", "a reference"),
    "Azure": ("@Microsoft.KeyVault(SecretUri=https://x.vault.azure.net/)", "a reference"),
    "a file": ("/run/secrets/token", "a reference"),
    "a variable": ("${SHARED_TOKEN}", "a reference"),
    "a command": ("$(pass show luna)", "a reference"),
    "a header": (f"Bearer {BARE}", "a token with more around it"),
    "a header in quotes": (f"'Bearer {BARE}'", "a token with more around it"),
    "JSON": (f'{{"token": "{BARE}"}}', "a token with more around it"),
    "two tokens": (f"{BARE},{BARE}", "a token with more around it"),
    "base64": ("ZXlKaGJHY2lPaUpJVXpJMU5pSjku", "encoded with base64"),
    "SOPS": ("ENC[AES256_GCM,data:abc,type:str]", "encrypted"),
    "dotenvx": ("encrypted:BDqDBibm4wsYqMpCjTQ6BsDHmMadg9K3", "encrypted"),
    "Vault's transit": (
        "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zoCmHnSeDX9vyf7w==",
        "encrypted",
    ),
}


@pytest.mark.parametrize(("text", "what"), FOREIGN.values(), ids=FOREIGN)
def test_what_another_program_turns_into_a_token_is_known(text: str, what: str) -> None:
    assert describe_foreign(text) == what


@pytest.mark.parametrize(
    "text",
    [
        "",
        "changeme",
        "<token>",
        "TODO: token",
        "x" * 40,
        "a.b.c",
        "null",
        "pa$$word",
        "a,b",
        "*** ",
        f' "{BARE}"\n',
        f"`{BARE}`",
    ],
)
def test_what_stands_in_the_place_of_a_token_until_there_is_one_is_nothing_foreign(
    text: str,
) -> None:
    assert describe_foreign(text) is None


def test_a_token_is_nothing_foreign(api: Sandbox) -> None:
    assert describe_foreign(api.issue()) is None


def test_a_long_value_is_judged_at_once() -> None:
    # With the square of its length, this would take minutes.
    assert describe_foreign("eyJ" * 350_000) is None
    assert describe_foreign("eyJa." * 100_000) is not None
