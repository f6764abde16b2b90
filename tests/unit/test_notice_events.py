"""What notices are sent for, and the fields that a webhook gets."""

import os
from datetime import UTC, datetime

from rotator.config.settings import NOTICES, NoticeEvent, Secret, TokenSettings
from rotator.hooks.hooks import HookEvent, Hooks, HookTask, run_together
from rotator.hooks.notify import Notice, NoticedToken, NoticeKind
from tests.support.listener import listener

EVENT = HookEvent("luna", "6d927cbd", datetime(2027, 2, 21, 10, 42, tzinfo=UTC), ("dotenv:///a",))


def hooks(urls: list[str], *events: NoticeEvent) -> Hooks:
    secrets = tuple(Secret("here", value=url) for url in urls)
    token = TokenSettings("luna", "test", (), notify=secrets, notify_on=events)
    return Hooks(token, os.environ)


def test_a_webhook_gets_the_facts_as_fields_and_those_of_its_url_win() -> None:
    with listener() as (url, arrived):
        made = hooks([url, f"{url}?:event=nocturna&:room=7"], *NOTICES)
        assert made.run(made.ids, EVENT) == []
    own, other = sorted(arrived, key=lambda each: "room" in each)
    assert (own["event"], own["type"]) == ("rotated", "success")
    assert (other["event"], other["room"]) == ("nocturna", "7")
    assert own["tokens"] == [
        {
            "name": "luna",
            "token_id": "6d927cbd",
            "expires_at": "2027-02-21T10:42:00Z",
            "stores": ["dotenv:///a"],
            "last_used_at": None,
            "level": None,
            "failure": None,
            "error": None,
        }
    ]


def task_of(name: str, *urls: str) -> HookTask:
    secrets = tuple(Secret("here", value=url) for url in urls)
    made = Hooks(TokenSettings(name, "test", (), notify=secrets), os.environ)
    return HookTask(made, made.ids, EVENT._replace(name=name))


def test_each_url_is_told_once_of_all_its_tokens() -> None:
    with listener() as (url, arrived):
        own, bad = f"{url}?:room=7", "json://127.0.0.1:1/"
        first, second = run_together([task_of("luna", url, bad), task_of("sol", url, own, bad)])
    told = {each.get("room", ""): [t["name"] for t in each["tokens"]] for each in arrived}
    assert (told, len(arrived)) == ({"": ["luna", "sol"], "7": ["sol"]}, 2)
    assert len(first) == len(second) == 1
    assert first == second


def test_a_text_that_is_too_long_for_a_service_goes_in_parts() -> None:
    with listener() as (url, arrived):
        chat = f"mmost://127.0.0.1:{url.rpartition(':')[2]}token"
        many = [task_of(f"bot-{number}", chat) for number in range(60)]
        assert run_together(many) == [[] for _ in many]
    texts = [each["text"] for each in arrived]
    assert len(texts) > 1
    assert max(map(len, texts)) <= 4000
    assert all(f"bot-{number}: token" in "".join(texts) for number in range(50))
    assert "and 10 more" in texts[-1]


def test_a_rotation_that_nobody_wants_to_hear_of_owes_no_notice() -> None:
    made = hooks(["json://127.0.0.1"], NoticeEvent.FAILED)
    assert made.ids == ()
    assert made.names == {}
    assert made.recipients(NoticeEvent.ROTATED) == ()
    assert len(made.recipients(NoticeEvent.FAILED)) == 1


def test_only_what_is_asked_for_is_sent() -> None:
    with listener() as (url, arrived):
        made = hooks([url], NoticeEvent.OWED_IN_USE)
        for each in NOTICES:
            made.notify(Notice("title", "body", NoticeKind.WARNING, each, (NoticedToken("luna"),)))
    assert [notice["event"] for notice in arrived] == ["owed-in-use"]
