"""Answers that only the stand-in can be made to give: each is told in one line, with what to do."""

import json

import pytest

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.failures import KubernetesAnswer
from backends.kubernetes.login import log_in
from backends.kubernetes.store import SecretPart
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import parse_url
from tests.kubernetes.apiserver import ApiServer, Fault
from tests.kubernetes.helpers import NOWHERE, store_of
from tests.kubernetes.site import Site
from tests.support.clock import StillTime

SECRET = "made-up.token"
GARBAGE = f"\n{SECRET} \x1b[31m"


def status(code: int, reason: str = "", message: str = GARBAGE) -> Fault:
    body = {"kind": "Status", "reason": reason, "message": message, "code": code}
    return Fault(code, json.dumps(body).encode(), {"Content-Type": "application/json"})


def webhook(name: str) -> str:
    return f'admission webhook "{name}" denied the request: {GARBAGE}'


def told_by(site: Site, kind: type[StoreError], *, changing: bool = False) -> str:
    store = store_of(site)
    with pytest.raises(kind) as caught:
        store.preflight() if changing else store.read()
    text = str(caught.value)
    assert type(caught.value) is kind
    assert text.startswith(f"{store.url}: ")
    assert text.isprintable()
    assert SECRET not in text
    assert caught.value.__suppress_context__ or not caught.value.__context__
    return text


@pytest.mark.sample(8)
@pytest.mark.parametrize(
    ("faults", "kind", "told"),
    [
        ([status(401, "Unauthorized")] * 2, StoreDeniedError, "renew the token or certificate"),
        (
            [status(403, "Forbidden")] * 1,
            StoreDeniedError,
            "the cluster forbids to get this Secret",
        ),
        ([status(410, "Expired")], StoreUnreachableError, "answered 410: try again"),
        ([status(429, "TooManyRequests")] * 3, StoreUnreachableError, "answered 429: try again"),
        ([status(500, "InternalError")] * 3, StoreUnreachableError, "answered 500: try again"),
        ([status(503, "ServiceUnavailable")] * 3, StoreUnreachableError, "answered 503: try again"),
        ([Fault(502, b"<html>")] * 3, StoreUnreachableError, "answered 502: try again"),
        ([Fault(404, b"<html>")], StoreUnreachableError, "is no Kubernetes API server"),
        ([Fault(200, b"<html>")], StoreUnreachableError, "is no Kubernetes API server"),
        ([Fault(200, b"[]")], StoreUnreachableError, "is no Kubernetes API server"),
        (
            [Fault(200, b'{"kind": "Pod"}')] * 1,
            StoreUnreachableError,
            "is no Kubernetes API server",
        ),
        (
            [Fault(200, b'{"kind": "Secret"}')] * 1,
            StoreUnreachableError,
            "is no Kubernetes API serv",
        ),
        *(
            (
                [Fault(200, b'{"kind": "Secret", ' + rest + b"}")],
                StoreUnreachableError,
                "is no Kubernetes API server",
            )
            for rest in (
                b'"metadata": {}, "kind": "Pod"',
                b'"metadata": []',
                b'"metadata": {}, "data": [1]',
                b'"metadata": {}, "data": []',
                b'"metadata": {"namespace": "elsewhere"}',
                b'"metadata": {"deletionTimestamp": "soon"}',
                b'"metadata": {"deletionTimestamp": [1]}',
                b'"metadata": {}, "data": {"NOCTURNA_SERVICE_TOKEN": 5}',
                b'"metadata": {}, "data": {"NOCTURNA_SERVICE_TOKEN": "*"}',
            )
        ),
        (
            [Fault(200, b'{"kind": "Secret", "metadata": {}}' + b" " * 2**23)],
            StoreUnreachableError,
            "is no Kubernetes API server",
        ),
    ],
    ids=lambda value: str(value[0].code) if isinstance(value, list) else None,
)
def test_an_answer_without_a_secret_is_told_with_what_to_do(
    site: Site, stand_in: ApiServer, faults: list[Fault], kind: type[StoreError], told: str
) -> None:
    stand_in.faults.extend(faults)
    assert told in told_by(site, kind)
    assert not stand_in.faults


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (status(400, "BadRequest", webhook("a.example")), StoreError, "webhook a.example: try it"),
        (status(422, "Invalid"), StoreError, "the change was refused (422): try it with kubectl"),
        (status(422, "Invalid", "Too long: must have at most"), StoreError, "become too large"),
        (status(413, "RequestEntityTooLarge"), StoreError, "become too large"),
        (
            status(403, "Forbidden", webhook("policy.example")),
            StoreDeniedError,
            "forbids to patch this Secret (403) by the admission webhook policy.example: try it",
        ),
        (
            status(403, "Forbidden", f"exceeded quota: q, {GARBAGE}"),
            StoreDeniedError,
            "is exceeded: raise it",
        ),
        (
            status(403, "Forbidden", "namespace x because it is being terminated"),
            StoreDeniedError,
            "is being deleted",
        ),
        (
            status(403, "Forbidden", f'User "{SECRET}" cannot patch resource "secrets"'),
            StoreDeniedError,
            'user may not patch secrets "luna"',
        ),
        (status(503, "ServiceUnavailable"), StoreUnreachableError, "answered 503: try again"),
        (status(415, "UnsupportedMediaType"), StoreUnreachableError, "is no Kubernetes API server"),
    ],
)
def test_a_change_that_is_refused_is_told_with_what_to_do(
    site: Site, stand_in: ApiServer, fault: Fault, kind: type[StoreError], told: str
) -> None:
    stand_in.faults.append(fault._replace(method="PATCH"))
    assert told in told_by(site, kind, changing=True)


def test_a_page_that_is_not_found_is_no_missing_secret(vacant: Site, stand_in: ApiServer) -> None:
    stand_in.faults.append(Fault(404, b"<html>"))
    assert "is no Kubernetes API server" in told_by(vacant, StoreUnreachableError)


def test_a_read_that_fails_for_a_moment_is_repeated(site: Site, stand_in: ApiServer) -> None:
    site.put("here")
    for fault in (status(500), status(429), Fault(503)):
        stand_in.faults.extend([fault, fault])
        store_of(site).read()


def test_the_server_is_given_the_time_that_it_asks_for(site: Site, stand_in: ApiServer) -> None:
    time = StillTime()
    store = store_of(site, throttle=time.throttle())
    stand_in.faults.extend(Fault(429, b"", {"Retry-After": text}) for text in ("1", "3600"))
    store.read()
    assert time.naps == [1.0, 5.0]


def test_a_change_is_sent_again_only_where_it_was_not_even_looked_at(
    site: Site, stand_in: ApiServer
) -> None:
    store = store_of(site)
    stand_in.faults.extend([Fault(429, method="PATCH")] * 2)
    store.write("new", Journal(token_id="t"), expected=store.read().version)
    assert site.secret() == "new"
    version = store.read().version
    before = len(stand_in.requests)
    stand_in.faults.append(Fault(500, method="PATCH"))
    with pytest.raises(StoreUnreachableError):
        store.write("newer", Journal(), expected=version)
    assert [each.method for each in stand_in.requests[before:]] == ["GET", "PATCH"]


def test_no_redirect_is_followed(site: Site, stand_in: ApiServer) -> None:
    before = len(stand_in.requests)
    stand_in.faults.append(Fault(302, b"", {"Location": f"{site.upstream}/elsewhere"}))
    assert "is no Kubernetes API server" in told_by(site, StoreUnreachableError)
    assert len(stand_in.requests) == before + 1


def test_a_change_names_our_key_our_annotations_and_the_version_only(
    site: Site, stand_in: ApiServer
) -> None:
    store = store_of(site)
    store.write("new", Journal(token_id="t"), expected=store.read().version)
    sent = stand_in.requests[-1]
    assert sent.path.endswith("/luna?fieldManager=nocturna-rotator")
    assert sent.body == {
        "metadata": {
            "annotations": {
                "nocturna-rotator/journal.NOCTURNA_SERVICE_TOKEN": "v=1 token=t",
                "nocturna-rotator/expires.NOCTURNA_SERVICE_TOKEN": None,
            },
            "resourceVersion": sent.body["metadata"]["resourceVersion"],
        },
        "data": {"NOCTURNA_SERVICE_TOKEN": "bmV3"},
    }
    store.preflight()
    assert "dryRun=All" in stand_in.requests[-1].path


def test_nothing_that_holds_a_secret_shows_it(site: Site) -> None:
    site.put(SECRET)
    login = log_in(site.variables(site.upstream), None, NOWHERE)
    body = site.whole() or {}
    store = store_of(site)
    store.read()
    part = SecretPart.parse(body, KubernetesAddress.parse(parse_url(site.store_url, NOWHERE)))
    answer = KubernetesAnswer(200, body)
    for each in (login, login.access, login.session, part, answer, store, vars(store)):
        for secret in (SECRET, "bWFkZS11cC50b2tlbg", site.token()):
            assert secret not in repr(each)


def test_no_log_holds_a_secret_not_even_at_debug(
    site: Site, stand_in: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_of(site)
    with caplog.at_level("DEBUG"):
        store.write(SECRET, Journal(), expected=store.read().version)
        store.read()
        stand_in.faults.extend([status(500)] * 3)
        told_by(site, StoreUnreachableError)
    assert "urllib3" in caplog.text
    for secret in (SECRET, "bWFkZS11cC50b2tlbg", site.token()):
        assert secret not in caplog.text
