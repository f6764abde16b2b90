import re

from tests.support.process import Runner


def test_the_demo_shows_a_rotation_from_before_to_after_and_no_token(rotator: Runner) -> None:
    before = set(rotator.folder.iterdir())
    result = rotator("demo", TMPDIR=str(rotator.folder))
    assert (result.status, result.err) == (0, "")
    story = [
        "3 days left>",
        "$ rotator check",
        "default: due – expires in 3 days",
        "[exit status 1]",
        "$ rotator rotate",
        "default: rotated (expiring)",
        "[exit status 0]",
        "$ rotator check",
        "default: ok – expires in 90 days",
        "90 days left>",
    ]
    places = [result.out.find(words) for words in story]
    assert -1 not in places
    assert result.out.index(story[5]) < result.out.rindex(story[8])
    (left,) = set(rotator.folder.iterdir()) - before
    assert str(left) in result.out
    assert [path.name for path in left.iterdir()] == [".env"]
    secret = re.findall(r"=(eyJ\S+)", (left / ".env").read_text())[0]
    rotator.transcript.secrets.add(secret)
    assert "eyJ" not in result.out


def test_it_minds_no_settings_of_the_user(rotator: Runner) -> None:
    changes = {"ROTATOR_VALIDITY": "nonsense", "NOCTURNA_API_URL": "https://real.example/api"}
    result = rotator("demo", TMPDIR=str(rotator.folder), **changes)
    assert result.status == 0
