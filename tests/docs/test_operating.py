"""The procedures of docs/operating.md come to what the page says."""

import re
import shutil
from datetime import timedelta

from rotator.tokens import ServiceToken
from tests.apis.pair import Pair
from tests.docs.page import ROOT, blocks, sections
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript

HOUR = timedelta(hours=1)
PAGE = sections("docs/operating.md")
TOKEN = '[[token]]\nname = "{}"\nstores = [{}]\n'


def configure(rotator: Runner, **stores: str) -> None:
    """Write a config with a token of each name, and its stores."""
    text = "".join(
        TOKEN.format(name.replace("_", "-"), ", ".join(f'"dotenv:{each}"' for each in urls.split()))
        for name, urls in stores.items()
    )
    (rotator.folder / "rotator.toml").write_text(text)
    rotator.env.pop("ROTATOR_STORE", None)


def put(rotator: Runner, file: str, secret: str) -> None:
    path = rotator.folder / file
    path.write_text(f"NOCTURNA_SERVICE_TOKEN={secret}\n")
    path.chmod(0o600)


def token_id(rotator: Runner, file: str) -> str | None:
    text = (rotator.folder / file).read_text()
    return ServiceToken.parse(text.partition("NOCTURNA_SERVICE_TOKEN=")[2].split()[0]).token_id


def actions(rotator: Runner, *arguments: str) -> list[str]:
    return [each["action"] for each in rotator("rotate", "--json", *arguments).json]


def test_a_restored_backup_heals(rotator: Runner, api: Sandbox) -> None:
    configure(rotator, luna="a.env b.env")
    put(rotator, "a.env", api.issue(days=3))
    rotator("rotate")
    shutil.copy(rotator.folder / "a.env", rotator.folder / "backup")
    backup = token_id(rotator, "backup")
    assert actions(rotator, "--force") == ["rotated"]
    newer = token_id(rotator, "a.env")
    shutil.copy(rotator.folder / "backup", rotator.folder / "a.env")
    assert actions(rotator) == ["converged"]  # from the other store
    assert token_id(rotator, "a.env") == newer
    for file in ("a.env", "b.env"):
        shutil.copy(rotator.folder / "backup", rotator.folder / file)
    assert actions(rotator) == ["kept"]  # it works, and the newer one is nowhere
    api.tokens[-1].created_at -= HOUR  # no longer on its way to a store
    assert str(newer) in rotator("doctor").out  # as an orphan
    api.revoke(str(backup))
    assert actions(rotator) == ["rotated"]


def test_a_token_is_added_without_touching_another(rotator: Runner, api: Sandbox) -> None:
    put(rotator, "a.env", api.issue(days=3))
    configure(rotator, old_bot="a.env", new_bot="b.env")
    before = (rotator.folder / "a.env").read_bytes()
    commands = commands_of("Add a token")
    assert [rotator(*each).status for each in commands] == [0, 0, 1]  # the other one is due
    assert token_id(rotator, "b.env")
    assert (rotator.folder / "a.env").read_bytes() == before


def test_a_token_is_removed_and_revoked(rotator: Runner, api: Sandbox) -> None:
    put(rotator, "a.env", api.issue(days=60))
    put(rotator, "b.env", api.issue(days=60))
    configure(rotator, luna="a.env", old_bot="b.env")
    (show, revoke) = commands_of("Remove a token")
    (shown,) = rotator(*show).json
    revoke = [*revoke[:-1], shown["token_id"]]
    assert rotator(*revoke).status == 1  # while the config names it
    configure(rotator, luna="a.env")
    assert rotator(*revoke).status == 0
    assert [row.id for row in api.live_tokens()] == [token_id(rotator, "a.env")]


def test_a_renamed_token_is_not_rotated_and_no_hook_runs(rotator: Runner, api: Sandbox) -> None:
    put(rotator, "a.env", api.issue(days=3))
    for name in ("luna", "moon"):
        configure(rotator, **{name: "a.env"})
        with (rotator.folder / "rotator.toml").open("a") as file:
            file.write('hooks = [["sh", "-c", "echo x >> ran"]]\n')
        result = rotator("rotate", "--json").json
    assert [(each["name"], each["action"]) for each in result] == [("moon", "kept")]
    assert (rotator.folder / "ran").read_text() == "x\n"


def test_a_token_moves_to_another_store_without_a_mint(rotator: Runner, api: Sandbox) -> None:
    put(rotator, "old.env", api.issue(days=60))
    moved = token_id(rotator, "old.env")
    configure(rotator, luna="old.env new.env")
    assert actions(rotator, "luna") == ["converged"]
    configure(rotator, luna="new.env")
    assert actions(rotator) == ["kept"]
    assert token_id(rotator, "new.env") == moved
    assert len(api.tokens) == 1


def test_a_move_in_one_step_leaves_an_orphan_that_the_doctor_names(
    rotator: Runner, api: Sandbox
) -> None:
    put(rotator, "old.env", api.issue(days=60))
    left = token_id(rotator, "old.env")
    api.tokens[-1].created_at -= HOUR  # no longer on its way to a store
    configure(rotator, luna="new.env")
    assert actions(rotator) == ["rotated"]
    assert str(left) in rotator("doctor").out


def test_a_token_moves_to_another_api_by_the_steps_of_the_page(
    rotator: Runner, api: Sandbox, transcript: Transcript
) -> None:
    title = "Move a token to another API"
    settle, change = re.findall(r"^\d\. .*(?:\n   .*)*", PAGE[title], re.MULTILINE)
    (rotate,) = re.findall(r"`rotator (rotate [^`]+)`", settle)
    _, name = rotate.split()
    with Sandbox() as us:
        pair = Pair(rotator, api, us)
        pair.tokens = {name: "eu"}
        old = pair.put(name)
        pair.write()
        assert actions(rotator, name) == ["kept"]
        assert "Change the token's `api`" in change
        pair.tokens[name] = "us"
        pair.write()
        assert actions(rotator, name) == ["rotated"]
        (show, revoke) = commands_of(title)
        assert f"{old}: replaced" in rotator(*show).out
        assert rotator(*revoke[:-1], old).status == 0
        assert pair.live_ids("eu") == set()
        assert len(pair.live_ids("us")) == 1
    transcript.secrets |= us.secrets


def test_a_changed_password_is_taken_from_the_file_at_the_next_login(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=3))
    api.state.users[api.admin_email].password = "moonlight"
    assert rotator("rotate").status == 1
    (rotator.folder / "admin-password").write_text("moonlight\n")
    assert rotator("doctor").status == 0
    assert actions(rotator) == ["rotated"]


def test_a_new_signing_key_replaces_all_tokens_in_one_run(rotator: Runner, api: Sandbox) -> None:
    for file in ("a.env", "b.env"):
        put(rotator, file, api.issue(days=60))
    configure(rotator, luna="a.env", sol="b.env")
    api.rotate_signing_key()
    assert actions(rotator) == ["rotated", "rotated"]
    assert rotator("check", "--probe").status == 0


def test_a_new_signing_key_is_not_noticed_without_a_probe(rotator: Runner, api: Sandbox) -> None:
    put(rotator, "a.env", api.issue(days=60))
    configure(rotator, luna="a.env")
    with (rotator.folder / "rotator.toml").open("a") as file:
        file.write("probe = false\n")
    api.rotate_signing_key()
    said = PAGE["After a change of the API's signing key"]
    check, force = re.findall(r"`rotator ([^`]+ --[^`]+)`", said)
    assert actions(rotator) == ["kept"]
    assert "refused" in rotator(*check.split()).out
    assert rotator(*force.replace("NAME", "luna").split()).status == 0
    assert rotator(*check.split()).status == 0


def test_nothing_of_the_rotator_is_left_in_a_file(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    assert rotator("rotate").status == 0
    (line,) = re.findall(r"^sed .*$", PAGE["Uninstall without a trace"], re.MULTILINE)
    assert rotator.in_shell(line.replace("/srv/luna/.env", ".env")).status == 0
    (token,) = [each.secret for each in api.live_tokens() if each is api.tokens[-1]]
    assert rotator.env_file.read_text() == f"A=1\nNOCTURNA_SERVICE_TOKEN={token}\nB=2\n"
    left = {path.name for path in rotator.folder.iterdir()} - {".env", "admin-password"}
    assert all(f"`{name}`" in PAGE["Uninstall without a trace"] for name in left)


def commands_of(title: str) -> list[list[str]]:
    """Return the commands of rotator in a section, without its own name."""
    lines = [line for block in blocks(PAGE[title]) for line in block.text.splitlines()]
    return [line.split()[1:] for line in lines if line.startswith("rotator ")]


def test_the_russian_page_has_the_same_files_and_commands() -> None:
    english, russian = (
        (ROOT / "docs" / name).read_text() for name in ("operating.md", "operating.ru.md")
    )
    assert blocks(russian) == blocks(english)
    assert re.findall(r"^#+ ", russian, re.MULTILINE) == re.findall(r"^#+ ", english, re.MULTILINE)
    prose = (
        re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
        for page in (english, russian)
    )
    named = [set(re.findall(r"`([^`]+)`", " ".join(each.split()))) for each in prose]
    assert named[0] == named[1]
