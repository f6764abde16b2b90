"""What goes wrong, and what the store says about it: one line, and nothing of the server's text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backends.aws.store import SecretsManagerStore, open_store
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import parse_url
from rotator.testing.rig import new_secret, read_back
from tests.aws.answering import Endpoint
from tests.aws.conftest import store_at
from tests.aws.site import Aws, Site

URL = "aws-secretsmanager://bots/luna?region=eu-west-1#T"
ANSWERS = [
    (
        "AccessDeniedException",
        "Access to KMS is not allowed",
        StoreDeniedError,
        "grant kms:Decrypt",
    ),
    ("AccessDeniedException", "not authorized", StoreDeniedError, "secretsmanager:DescribeSecret"),
    ("DecryptionFailure", "", StoreError, "KMS cannot use the key"),
    ("ExpiredTokenException", "", StoreDeniedError, "have expired: renew them"),
    ("UnrecognizedClientException", "", StoreDeniedError, "does not accept these credentials"),
    ("InvalidSignatureException", "Signature expired: 2", StoreDeniedError, "set this machine's"),
    ("InvalidSignatureException", "does not match", StoreDeniedError, "does not accept these"),
    ("RequestTimeTooSkewed", "", StoreDeniedError, "set this machine's clock"),
    ("ThrottlingException", "", StoreUnreachableError, "asks to slow down"),
    ("InternalServiceError", "", StoreUnreachableError, "answers with a fault"),
    ("InternalServiceError", "a replica", StoreUnreachableError, "answers with a fault"),
    ("LimitExceededException", "", StoreError, "a quota"),
    ("LimitExceededException", "delete some", StoreError, "a quota"),
    ("ResourceNotFoundException", "", StoreUnreachableError, "there is no such secret"),
    ("InvalidRequestException", "marked for deletion", StoreUnreachableError, "restore-secret"),
    ("InvalidParameterException", "a replica secret", StoreError, "this is a replica"),
    ("Some\nthing", "odd", StoreError, "refuses DescribeSecret (an unknown error)"),
    ("SomethingElse", "odd", StoreError, "refuses DescribeSecret (SomethingElse)"),
]


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case[0]}: {case[1]}")
def test_each_answer_has_its_own_sentence(
    aws: Aws, endpoint: Endpoint, case: tuple[str, str, type[StoreError], str]
) -> None:
    code, text, kind, told = case
    secret = new_secret()
    server = endpoint.answer(400, {"__type": code, "message": f"{text} {secret}"})
    caught = failure(store_at(URL, aws, server=server))
    assert type(caught) is kind or (kind is StoreDeniedError and isinstance(caught, kind))
    assert told in str(caught)
    assert str(caught).startswith(f"{URL}: ")
    assert "\n" not in str(caught)
    assert secret not in str(caught)


def test_a_secret_that_is_to_be_deleted_says_how_to_get_it_back(site: Site) -> None:
    site.put(new_secret())
    store = store_at(site.store_url, site.aws)
    site.operator.delete_secret(SecretId=site.name)
    for act in acts(store):
        with pytest.raises(StoreUnreachableError, match="restore-secret brings it back"):
            act()


def test_a_secret_that_is_to_be_deleted_and_never_had_a_value_is_not_absent(aws: Aws) -> None:
    site = Site(aws, field=None)
    site.operator.delete_secret(SecretId=site.name)
    for act in acts(store_at(site.store_url, aws)):
        with pytest.raises(StoreUnreachableError, match="restore-secret brings it back"):
            act()


def test_a_binary_secret_is_told_of(aws: Aws) -> None:
    site = Site(aws, field=None)
    site.operator.put_secret_value(SecretId=site.name, SecretBinary=b"\0\1")
    for act in acts(store_at(site.store_url, aws)):
        with pytest.raises(StoreError, match="this secret is binary"):
            act()


def test_a_secret_of_the_other_shape_says_which_url_to_use(aws: Aws) -> None:
    site = Site(aws)
    bare = store_at(site.store_url.partition("#")[0], aws)
    for act in acts(bare):
        with pytest.raises(StoreError, match="name one of its keys"):
            act()
    site.put_text("a bare token")
    for act in acts(store_at(site.store_url, aws)):
        with pytest.raises(StoreError, match="is no JSON object"):
            act()
    assert site.text() == "a bare token"


def test_a_replica_is_read_here_and_written_in_its_primary_region(site: Site) -> None:
    site.put(secret := new_secret())
    regions = [{"Region": "eu-north-1"}]
    site.operator.replicate_secret_to_regions(SecretId=site.name, AddReplicaRegions=regions)
    # moto finds a replica by its ARN only.
    arn = site.about()["ARN"].replace("eu-west-1", "eu-north-1")
    store = store_at(f"aws-secretsmanager://{arn}#{site.field}", site.aws)
    assert read_back(store)[0] == secret
    refused(store, "use the one in eu-west-1")
    store_at(site.store_url, site.aws).preflight()


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"RotationEnabled": True}, "two rotators would fight: turn it off"),
        ({"OwningService": "rds\nevil"}, "managed by another AWS service"),
    ],
)
def test_a_secret_that_others_write_is_read_and_not_written(
    aws: Aws, endpoint: Endpoint, about: dict[str, object], told: str
) -> None:
    # moto would make an empty version current when rotation is switched on; AWS calls a function.
    server = endpoint.answer(200, {"ARN": "arn:…", **about})
    refused(store_at(URL, aws, server=server), told)


def test_a_secret_that_grew_too_long_is_not_written(site: Site) -> None:
    site.put_text(f'{{"A": "{"a" * 65000}"}}')
    store = store_at(site.store_url, site.aws)
    with pytest.raises(StoreError, match="up to 65536 bytes"):
        store.write("t" * 8192, Journal(), expected=store.read().version)


def test_a_version_that_reads_otherwise_than_it_was_written_is_not_made_current(
    aws: Aws, endpoint: Endpoint
) -> None:
    current = {"VersionIdsToStages": {"v" * 32: ["AWSCURRENT"]}, "SecretString": '{"T": "old"}'}
    server = endpoint.answer(200, {"ARN": "arn:…", **current})
    store = store_at(URL, aws, server=server)
    with pytest.raises(StoreError, match="AWS returns another secret than was written"):
        store.write("new", Journal(), expected=store.read().version)


def test_who_names_an_arn_is_told_to_allow_it_on_that(aws: Aws) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:luna-AbCdEf"
    caught = failure(store_at(f"aws-secretsmanager://{arn}", aws, keys=aws.may()))
    assert f"allow it on {arn} (" in str(caught)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "there are no AWS credentials"),
        ({"AWS_PROFILE": "nobody"}, "there is no such AWS profile"),
        ({"AWS_ACCESS_KEY_ID": "AKIA0"}, "there are no AWS credentials"),
        ({"AWS_PROFILE": "sso"}, "the AWS credentials cannot be fetched"),
        ({"AWS_PROFILE": "role"}, "the AWS credentials cannot be fetched"),
        ({"AWS_PROFILE": "quoted"}, "correct credential_process of the AWS profile"),
        ({"AWS_PROFILE": "over"}, "renew what the AWS profile gives: it has expired already"),
        ({"AWS_PROFILE": "some-day"}, "correct the Expiration that credential_process gives"),
        ({"AWS_METADATA_SERVICE_TIMEOUT": "soon"}, "that is to be a number"),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://nocturna.invalid/x"},
            "correct AWS_CONTAINER_CREDENTIALS_FULL_URI, whose host is not allowed",
        ),
    ],
)
def test_credentials_that_are_not_there_are_told_of(
    site: Site,
    variables: dict[str, str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    bare_environment(monkeypatch, tmp_path)
    for name, value in {"AWS_ENDPOINT_URL": site.upstream, **variables}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config").write_text(
        "[profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://sso.invalid\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = keys\n"
        "[profile keys]\naws_access_key_id = AKIA0\naws_secret_access_key = x\n"
        "[profile quoted]\ncredential_process = 'no end\n"
        + "".join(
            f"[profile {name}]\ncredential_process = echo "
            '\'{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "B",'
            f' "Expiration": "{end}"}}\'\n'
            for name, end in {"over": "2000-01-01T00:00:00Z", "some-day": "soon"}.items()
        )
    )
    caught = failure(open_store(parse_url(site.store_url, Path())))
    assert told in str(caught)
    assert isinstance(caught, StoreDeniedError)


def test_the_sdk_is_asked_for_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.aws.store.SDK", "boto3_that_is_not_there")
    with pytest.raises(ModuleNotFoundError) as caught:
        open_store(parse_url(URL, Path()))
    assert caught.value.name == "boto3_that_is_not_there"


def bare_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def acts(store: SecretsManagerStore) -> list[Callable[[], object]]:
    return [
        store.read,
        store.preflight,
        lambda: store.write("x", Journal(), expected=""),
        lambda: store.note(Journal(), expected=""),
    ]


def refused(store: SecretsManagerStore, told: str) -> None:
    """See that the store can be read, and is not written."""
    version = store.read().version
    for act in (
        store.preflight,
        lambda: store.write("x", Journal(), expected=version),
        lambda: store.note(Journal(), expected=version),
    ):
        with pytest.raises(StoreError, match=told):
            act()


def failure(store: SecretsManagerStore) -> StoreError:
    with pytest.raises(StoreError) as caught:
        store.read()
    return caught.value
