"""What the report says of a run that is cut off at any moment, and of one that ends well."""

from pathlib import Path

import pytest

from rotator.cli.leaked.markdown import as_section, describe_state
from rotator.cli.leaked.record import RunState
from rotator.cli.leaked.report_file import ReportFile
from tests.leak.site import Site
from tests.leak.test_response import CALL_LIST, CALL_MINT, MINUTE
from tests.support.sandbox import Fault


class KilledFile(ReportFile):
    """The file of a run, with each state in which a kill can leave it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.left: list[str] = []

    def write(self, section: str) -> None:
        super().write(section)
        self.left.append(" ".join(section.split()))


@pytest.fixture
def file(tmp_path: Path) -> KilledFile:
    return KilledFile(tmp_path / "report.md")


def test_what_was_found_is_in_the_file_before_anything_is_done(
    site: Site, file: KilledFile
) -> None:
    late = site.issue()
    site.answer("luna", file=file)
    assert "by the account of a leaked token: 1, before anything was done." in file.left[0]
    assert f"- {late}: left as it is" in file.left[0]
    assert f"No store holds {late}" in file.left[0]


def test_nobody_is_told_none_where_nobody_has_looked(site: Site, file: KilledFile) -> None:
    site.issue()
    site.api.misbehave(Fault.json_of([{"id": "../x"}]), CALL_LIST, times=None)
    site.answer("luna", file=file)
    assert {"account of a leaked token: not known yet." in text for text in file.left} == {True}


def test_a_list_that_fails_later_takes_nothing_back_and_revokes_nothing(
    site: Site, file: KilledFile
) -> None:
    late = site.issue()

    def stopped() -> bool:
        site.api.misbehave(Fault.json_of([{"id": "../x"}]), CALL_LIST, times=None)
        return False

    record = site.answer("luna", revoke_found=True, stopped=stopped, file=file)
    assert record.state is RunState.NOT_DONE
    assert f"- {late}: not revoked yet" in file.left[-1]
    assert late in site.live


def test_a_token_is_called_one_thing_at_a_time(site: Site, file: KilledFile) -> None:
    leaked = site.id_in("luna")
    late = {site.issue(), site.issue()}
    site.answer("luna", revoke_found=True, file=file)
    for text in file.left:
        for token_id in (leaked, *late):
            is_revoked = f"the token {token_id} is revoked at the API" in text
            assert (f"{token_id}: revoked;" in text) == (is_revoked and token_id in late)
            assert f"{token_id}: left as it is" not in text
        assert "Find out whether anybody needs them" not in text
    first = next(text for text in file.left if f"{leaked} is revoked at the API" in text)
    assert "revoked: it is no longer exchanged" in first


def test_a_revoked_token_goes_on_as_a_bearer_whoever_made_it(site: Site, file: KilledFile) -> None:
    site.api.issue(eternal=True)
    eternal, late = site.api.tokens[-1].id, site.issue(days=300)
    end = f"{site.api.tokens[-1].expires_at:%Y-%m-%d %H:%M} UTC"
    record = site.answer("luna", revoke_found=True, file=file)
    (told,) = [text for text in record.open_questions() if "direct bearers" in text]
    for text in (told, *file.left):
        assert f"{eternal} for ever" in text
        assert f"{late} until {end}" in text


class DyingFile(ReportFile):
    """The file of a run that dies before its report says so."""

    def __init__(self, path: Path, last: str) -> None:
        super().__init__(path)
        self._last = last

    def write(self, section: str) -> None:
        if self._last in " ".join(section.split()):
            raise KeyboardInterrupt  # as good as a kill: nothing catches it
        super().write(section)


def test_what_a_killed_run_revoked_is_told_by_the_next(site: Site, tmp_path: Path) -> None:
    """The API lists no revoked token; the journal says what was to be revoked."""
    late, other = site.issue(), site.issue(days=300)  # in the order of their ends
    file = DyingFile(tmp_path / "report.md", f"the token {late} is revoked at the API")
    with pytest.raises(KeyboardInterrupt):
        site.answer("luna", revoke_found=True, file=file)
    assert {other, late} & site.live == {other}
    record = site.answer("luna", revoke_found=True)
    end = f"{site.api.tokens[3].expires_at:%Y-%m-%d %H:%M} UTC"
    assert (record.state, [each.token_id for each in record.found_before]) == ("done", [late])
    text = " ".join(as_section(record).split())
    assert f"- {other}: revoked; made " in text
    assert f"- {late}: revoked; an earlier run found it, and was to revoke it" in text
    (told,) = [each for each in record.open_questions() if "direct bearers" in each]
    assert f"{late} until {end}" in told
    shown = {each["token_id"]: each["state"] for each in record.to_json()["found_before"]}
    assert shown == {late: "revoked"}
    again = site.answer("luna", revoke_found=True)  # which has nothing to do, and knows of both
    assert {each.token_id for each in again.found_before} == {late, other}
    site.answer("luna", again=True)
    again = site.answer("luna")
    assert {each.token_id for each in again.found_before} == {late, other}


def test_what_an_earlier_run_did_not_revoke_is_not_called_revoked(site: Site) -> None:
    late = site.issue()
    site.answer("luna")
    note = site.text("luna").splitlines()[0]
    noted = site.text("luna").replace(note, f"{note} found={late}@2027-01-01T00:00:00Z")
    (site.folder / "luna.env").write_text(noted)
    record = site.answer("luna")
    assert ([each.row.token_id for each in record.found], record.found_before) == ([late], [])
    site.api.misbehave(Fault.json_of([{"id": "../x"}]), CALL_LIST, times=None)
    record = site.answer("luna")
    assert [record.state_of(each.token_id) for each in record.found_before] == ["unknown"]
    assert f"{late}: not known yet whether it is revoked; an" in " ".join(
        as_section(record).split()
    )


def test_what_cannot_be_noted_is_revoked_and_said(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    late = site.issue()
    site.api.misbehave(Fault.refusal(403, "Admin privileges required"), CALL_MINT, times=None)
    record = site.answer("luna", revoke_found=True)
    assert (record.state, late in site.live) == ("not-done", False)
    assert "keep what this one tells" in caplog.text


def test_what_was_left_is_no_bearer_of_the_leak(site: Site) -> None:
    late = site.issue(days=300)
    (told,) = [text for text in site.answer("luna").open_questions() if "direct bearers" in text]
    assert late not in told


def test_done_is_not_the_last_word_while_something_is_left(site: Site) -> None:
    site.issue()
    record = site.answer("luna")
    assert describe_state(record) == (
        "Done: all that the command was to do. But 1 token that no store holds is alive, and people"
        " have to decide about that: see below."
    )
    site.issue()
    assert "But 2 tokens that no store holds are alive" in describe_state(site.answer("luna"))
    record = site.answer("luna", revoke_found=True)
    assert describe_state(record) == "Done: all that the command was to do."


def test_what_an_earlier_run_left_unsettled_is_told(site: Site) -> None:
    intent = "0123456789ab/2026-11-23T11:59:50Z/90/01234567"
    site.put("luna", site.api.tokens[0].secret, f"# rotator: v=1 intent={intent}\n")
    record = site.answer("luna")
    assert record.state is RunState.DONE
    assert describe_state(record).endswith(
        "But a mint or a revocation of an earlier run is not settled: see below."
    )
    assert "in some minutes run rotator rotate luna" in " ".join(record.open_questions())


def test_a_token_that_was_revoked_earlier_is_not_revoked_now(site: Site) -> None:
    leaked = site.id_in("luna")
    site.answer("luna")
    site.clock.advance(MINUTE)
    note = site.text("luna").splitlines()[0]
    (site.folder / "luna.env").write_text(
        site.text("luna").replace(note, f"{note} revoke={leaked}/2026-11-23T12:00:00Z")
    )
    text = " ".join(as_section(site.answer("luna")).split())
    assert f"the token {leaked} is revoked already, since an earlier time" in text
    assert "gone" not in text
