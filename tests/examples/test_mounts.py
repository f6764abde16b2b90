"""The manifests mount what their comments claim, and what they mount shows a rotation."""

import re
from pathlib import Path
from typing import Any

import yaml

from rotator.client import TokenManager
from tests.support.sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"
COMPOSE: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
DEPLOYMENT: dict[str, Any] = yaml.safe_load((EXAMPLES / "kubernetes.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
TOKEN = "NOCTURNA_SERVICE_TOKEN"


def comments(name: str) -> str:
    lines = (EXAMPLES / name).read_text().splitlines()
    return " ".join(line.partition("# ")[2] for line in lines)


def test_in_compose_both_mount_the_folder_and_only_the_rotator_may_write() -> None:
    rotator, bot = COMPOSE["services"]["rotator"], COMPOSE["services"]["bot"]
    assert rotator["volumes"] == ["token:/token"]
    assert [each for each in bot["volumes"] if "token" in each] == ["token:/token:ro"]
    assert "token" in COMPOSE["volumes"]
    source = rotator["environment"]["ROTATOR_STORE"]
    assert bot["environment"]["NOCTURNA_TOKEN_SOURCE"] == source == "dotenv:///token/.env"


def test_in_compose_the_bot_has_neither_the_token_in_a_variable_nor_the_admin() -> None:
    bot = COMPOSE["services"]["bot"]
    assert set(bot["environment"]) == {"NOCTURNA_API_URL", "NOCTURNA_TOKEN_SOURCE"}
    assert not {"env_file", "secrets"} & bot.keys()
    (secret,) = COMPOSE["services"]["rotator"]["secrets"]
    password_file = COMPOSE["services"]["rotator"]["environment"]["NOCTURNA_ADMIN_PASSWORD_FILE"]
    assert password_file == f"/run/secrets/{secret}"
    assert secret in COMPOSE["secrets"]


def test_in_compose_both_run_as_the_image_is_made_for() -> None:
    dockerfile = (EXAMPLES.parent / "Dockerfile").read_text()
    rotator, bot = COMPOSE["services"]["rotator"], COMPOSE["services"]["bot"]
    assert (EXAMPLES / rotator["build"]).resolve() == EXAMPLES.parent
    assert rotator["image"] == bot["image"]
    assert 'ENTRYPOINT ["rotator"]' in dockerfile
    assert rotator["command"] == ["daemon"]
    assert re.search(r"install -d -o 10001 -g 0 -m 770 /token$", dockerfile, re.MULTILINE)
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    for service in (rotator, bot):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "user" not in service
    (code,) = [each.split(":") for each in bot["volumes"] if "token" not in each]
    assert (EXAMPLES / code[0]).exists()
    assert bot["entrypoint"] == ["python3", code[1]]


def test_in_kubernetes_the_secret_is_mounted_as_a_folder() -> None:
    (container,) = POD["containers"]
    (mount,) = container["volumeMounts"]
    (volume,) = POD["volumes"]
    assert mount == {"name": volume["name"], "mountPath": "/secrets", "readOnly": True}
    assert volume["secret"] == {"secretName": "luna-token", "defaultMode": 0o440}
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables["NOCTURNA_TOKEN_SOURCE"] == f"file:{mount['mountPath']}/{TOKEN}"
    assert all(variables.values())
    assert "envFrom" not in container


def test_in_kubernetes_the_bot_keeps_to_the_restricted_profile() -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    everybody = POD["securityContext"]
    assert everybody["runAsNonRoot"] is True
    assert everybody["runAsUser"] > 0
    assert everybody["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = POD["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_labels_of_the_deployment_fit() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert f"kubernetes://bots/luna-token#{TOKEN}" in comments("kubernetes.yaml")
    assert DEPLOYMENT["metadata"]["namespace"] == "bots"


def test_the_comments_name_the_ways_that_never_see_a_rotation() -> None:
    never = comments("compose.yaml").split("Never sees one: ")[1:]
    assert [f"`{word}`" in never[0] for word in ("environment", "env_file")] == [True, True]
    assert never[1].startswith("a single file")
    never = comments("kubernetes.yaml").split("Never sees one: ")[1:]
    assert [f"`{word}`" in never[0] for word in ("valueFrom.secretKeyRef", "envFrom")] == [
        True,
        True,
    ]
    assert never[1].startswith("`subPath`")


def test_a_folder_shows_a_rotation_as_kubernetes_makes_it_and_a_single_file_does_not(
    tmp_path: Path, api: Sandbox
) -> None:
    """A volume is a folder of links through `..data`; what `subPath` mounts is a file by itself."""
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / TOKEN).write_text(api.issue())
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / TOKEN).symlink_to(f"..data/{TOKEN}")
    folder = TokenManager(api.url, f"file:{tmp_path / TOKEN}")
    with (tmp_path / TOKEN).open() as mounted:
        single = TokenManager(api.url, f"file:/proc/self/fd/{mounted.fileno()}")
        before = folder.token_status().token_id
        assert single.token_status().token_id == before
        (tmp_path / "new").symlink_to("..2")
        (tmp_path / "new").replace(tmp_path / "..data")
        for manager in (folder, single):
            manager.get_access_token()
        assert single.token_status().token_id == before
        assert folder.token_status().token_id == api.tokens[1].id
