import socket

import pytest

from rotator.daemon.web import ListenAddress, parse_address
from rotator.errors import ConfigError
from rotator.rotation.states import TokenStates
from tests.page.serving import served


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("9464", "127.0.0.1", 9464),
        ("0.0.0.0:9464", "0.0.0.0", 9464),  # noqa: S104 - what users write to be reached by others
        ("[::1]:9464", "::1", 9464),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
        ("status.example.com:0", "status.example.com", 0),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int) -> None:
    assert parse_address(text) == ListenAddress(host, port)
    assert parse_address(str(ListenAddress(host, port))) == ListenAddress(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":9464",
        "::1:9464",
        "[::1]",
        "http://localhost:9464",
        "x:65536",
        "x:-1",
        "x: 1",
        "x:\u0661",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\[HOST:\]PORT, such as 9464"):
        parse_address(text)


def test_a_port_in_use_is_told_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError) as caught, served(TokenStates(), port=port):
            pass
    assert str(caught.value) == (
        f"--listen 127.0.0.1:{port}: another program listens there: choose another port, or end"
        " that one"
    )


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "this machine has no such address"),  # RFC 5737: nobody's
        ("no-such-host.invalid", "there is no host of this name"),  # RFC 6761: nobody's, either
        ("a..b", "there is no host of this name"),
    ],
)
def test_an_address_that_is_not_ours_is_told_in_a_line(host: str, reason: str) -> None:
    with (
        pytest.raises(ConfigError, match=f"^--listen {host}:0: {reason}$"),
        served(TokenStates(), host),
    ):
        pass


def test_ipv6_works(ipv6: None) -> None:  # noqa: ARG001 - a health
    with served(TokenStates(), "::1") as page:
        assert page.url.startswith("http://[::1]:")
        assert page.get("healthz").status_code == 200


def test_every_interface_of_ipv6_is_every_one_of_ipv4_as_well(ipv6: None) -> None:  # noqa: ARG001 - a health
    with (
        served(TokenStates(), "::") as page,
        socket.create_connection(("127.0.0.1", page.port)) as line,
    ):
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert line.recv(12) == b"HTTP/1.1 200"


@pytest.fixture
def ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
