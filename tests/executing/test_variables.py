"""Which variable holds which secret, by the settings and by --env."""

from pathlib import Path

import pytest

from rotator.cli.exec.delivery import choose_variables
from rotator.cli.exec.store_poller import path_of, steps_to
from rotator.config.settings import TokenSettings
from rotator.errors import ConfigError
from rotator.stores.registry import Backends

LUNA = TokenSettings("luna", "x", ("dotenv:luna.env#LUNA_TOKEN",))
SOL = TokenSettings("sol", "x", ("aws-secretsmanager://sol#some-key", "dotenv:sol.env#SOL"))
VEGA = TokenSettings("vega", "x", ("dotenv:vega.env",))
TWINS = (
    "exec: found sol and vega both in $NOCTURNA_SERVICE_TOKEN, expected a variable for each:"
    " --env vega=VARIABLE"
)
ALONE = "expected a variable for the token alone"
WRONG = [
    ((SOL, VEGA), [], TWINS),
    ((LUNA, SOL), ["TOKEN"], 'exec: --env: found "TOKEN", expected NAME=VARIABLE'),
    ((LUNA,), ["A-B"], 'exec: --env: found "A-B", expected a variable such as API_TOKEN'),
    ((LUNA,), ["PATH"], f"exec: --env: found PATH, which is where programs are found, {ALONE}"),
    (
        (LUNA, SOL),
        ["luna=NOCTURNA_API_URL"],
        f"exec: --env: found NOCTURNA_API_URL, which is a setting of the rotator, {ALONE}",
    ),
    ((LUNA, SOL), ["lune=A"], 'exec: --env: there is no token "lune" here, expected luna'),
]


@pytest.mark.parametrize(
    ("tokens", "given", "expected"),
    [
        ((LUNA,), [], {"luna": "LUNA_TOKEN"}),
        ((LUNA, SOL), [], {"luna": "LUNA_TOKEN", "sol": "NOCTURNA_SERVICE_TOKEN"}),
        ((VEGA,), ["API_TOKEN"], {"vega": "API_TOKEN"}),
        ((SOL, VEGA), ["sol=SOL"], {"sol": "SOL", "vega": "NOCTURNA_SERVICE_TOKEN"}),
    ],
)
def test_the_first_store_names_the_variable_unless_an_option_does(
    tmp_path: Path, tokens: tuple[TokenSettings, ...], given: list[str], expected: dict[str, str]
) -> None:
    assert choose_variables(tokens, tmp_path, given) == expected


@pytest.mark.parametrize(("tokens", "given", "message"), WRONG)
def test_mistakes_say_what_was_expected(
    tmp_path: Path, tokens: tuple[TokenSettings, ...], given: list[str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_variables(tokens, tmp_path, given)
    assert str(caught.value) == message


def test_a_store_of_this_machine_is_known_by_its_url(tmp_path: Path) -> None:
    texts = ("dotenv:my%20bot/.env", f"dotenv://{tmp_path}/x.env#X")
    found = [path_of(Backends().open(text, tmp_path), text, tmp_path) for text in texts]
    assert found == [tmp_path / "my bot/.env", tmp_path / "x.env"]


def test_every_link_on_the_way_to_a_file_is_a_step(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "current").symlink_to("v1")
    (tmp_path / ".env").symlink_to("current/.env")
    expected = [tmp_path / ".env", tmp_path / "current", tmp_path / "v1/.env"]
    assert list(steps_to(tmp_path / ".env")) == expected


def test_links_in_a_circle_have_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert set(steps_to(tmp_path / "a")) == {tmp_path / "a", tmp_path / "b"}
