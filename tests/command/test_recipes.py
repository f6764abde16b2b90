"""The recipes for other places: Swarm's secrets by a hook, and files that programs encrypt."""

import os
from pathlib import Path

import pytest

from rotator.config.loader import load_settings
from rotator.stores.registry import Backends
from tests.command.conftest import STORES
from tests.docs.page import blocks, sections
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

PAGE = sections("docs/recipes.md")
# Docker as far as the recipe needs it: secrets are made once, and one in use is not removed.
DOCKER = """#!/bin/sh
cd "$SWARM" && echo "$*" >>calls
case "$1 $2" in
"secret inspect") [ -e "secret/$3" ] ;;
"secret create") [ ! -e "secret/$3" ] && cat >"secret/$3" && echo id ;;
"secret rm") ! grep -q "$3" attached && rm "secret/$3" ;;
"service inspect") cat attached ;;
"service update")
    while [ $# -gt 1 ]; do
        [ "$1" != --secret-add ] || echo "$2" | sed 's/source=\\([^,]*\\),.*/\\1/' >attached
        shift
    done ;;
*) exit 64 ;;
esac
"""


@pytest.fixture
def swarm(rotator: Runner) -> Path:
    """Put the files of the recipe beside a `.env`, and a Docker into the path."""
    for block in blocks(PAGE["Docker Swarm"]):
        assert block.path
        (rotator.folder / block.path).write_text(block.text)
    swarm = rotator.folder / "swarm"
    (swarm / "secret").mkdir(parents=True)
    (swarm / "attached").write_text("other-secret \n")
    (swarm / "docker").write_text(DOCKER)
    (swarm / "docker").chmod(0o755)
    del rotator.env["ROTATOR_STORE"]
    rotator.env |= {"PATH": f"{swarm}:{os.environ['PATH']}", "SWARM": str(swarm)}
    return swarm


def test_each_token_is_a_secret_of_its_own_in_swarm(
    rotator: Runner, api: Sandbox, swarm: Path
) -> None:
    rotator.write_env(api.issue(days=3))
    names = []
    for arguments in (("rotate",), ("rotate", "--force")):
        result = rotator(*arguments)
        assert result.status == 0, result.err
        (secret,) = (swarm / "secret").iterdir()
        token = secret.read_text()
        assert f"NOCTURNA_SERVICE_TOKEN={token}\n" in rotator.env_file.read_text()
        assert (swarm / "attached").read_text() == f"{secret.name}\n"
        names.append(secret.name)
        assert token not in (swarm / "calls").read_text()
    first, second = names
    assert first != second
    update = f"service update --quiet --secret-rm {first} --secret-add source={second},"
    assert update in (swarm / "calls").read_text()


def test_the_store_of_the_vault_recipe_is_an_example_that_is_shipped(tmp_path: Path) -> None:
    config, _ = blocks(PAGE["Ansible Vault, SOPS"])
    (tmp_path / "rotator.toml").write_text(config.text)
    (token,) = load_settings(None, {}, tmp_path).tokens
    (url,) = token.stores
    store = Backends().open(url, tmp_path)
    program = url.partition("?")[0].rpartition("/")[2]
    assert (STORES / program).exists()
    assert store.url.endswith("?args=group_vars/all/nocturna.vault.json#nocturna_service_token")
