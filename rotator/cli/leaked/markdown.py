"""The record as Markdown."""

from collections.abc import Iterator
from datetime import datetime

from rotator import __version__
from rotator.cli.leaked.assessment import Assessment, LeakedToken
from rotator.cli.leaked.emergency import FoundState, FoundToken
from rotator.cli.leaked.record import IncidentRecord, LeakedState, RunState
from rotator.cli.markdown import describe_listed, item, numbered, paragraph, second
from rotator.clock import minute
from rotator.rotation.model import StoreState
from rotator.rotation.report import Report, remaining_life

TITLE = "# Leaked service tokens\n"
_STATES = {
    RunState.UNDER_WAY: (
        "Under way. If no rotator leaked is running any more, this run was cut off, perhaps after"
        " something that is not listed here: run the same command again."
    ),
    RunState.DONE: "Done: all that the command was to do.",
    RunState.NOT_DONE: "Not done: something is left to do, see below.",
}
_LEAKED = {
    LeakedState.ALIVE: "not revoked",
    LeakedState.REVOKED: "revoked: it is no longer exchanged",
    LeakedState.UNKNOWN: "not known yet whether it is revoked",
}
_FOUND = {
    FoundState.LEFT: "left as it is",
    FoundState.UNKNOWN: "left as it is, since it may be on the way to a store",
    FoundState.REVOKED: "revoked",
    FoundState.FAILED: "not revoked",
}


def as_section(record: IncidentRecord) -> str:
    """Return the section about one run, which begins with a heading of the second level."""
    return "\n".join((*_head(record), *_body(record), ""))


def _head(record: IncidentRecord) -> Iterator[str]:
    yield f"## Run of {second(record.began_at)}"
    yield ""
    yield from paragraph(f"**{describe_state(record)}**")
    yield ""
    yield f"    {record.command}"
    yield ""
    ended = f", ended {second(record.ended_at)}" if record.ended_at else ""
    account = f", with the admin account {record.account}" if record.account else ""
    about = f"rotator {__version__} at the API {record.api}{account}{ended}."
    yield from paragraph(about)


def _body(record: IncidentRecord) -> Iterator[str]:
    for assessment in record.assessments:
        yield from ("", f"### {assessment.name}", "")
        yield from _about_token(record, assessment)
    if record.since is not None:
        yield from ("", "### Tokens that no store holds", "")
        count = str(len(record.found) or "none") if record.has_looked else "not known yet"
        if record.has_looked and record.alive is None:
            count = f"{count}, before anything was done"
        yield from paragraph(
            f"Made since {minute(record.since)} by the account of a leaked token: {count}."
        )
        found = [describe_found(record, each) for each in record.found]
        if found := [*found, *describe_found_before(record)]:
            yield ""
        for line in found:
            yield from item(line)
    if record.steps:
        yield from ("", "### What was done", "")
        for step in record.steps:
            yield from item(f"{second(step.at)}: {step.text}")
    if tasks := [] if record.state is RunState.UNDER_WAY else list(record.open_tasks()):
        yield from ("", "### What is not done", "")
        yield from numbered(tasks)
    yield from ("", "### What is left for people", "")
    yield from numbered(record.open_questions())


def _about_token(record: IncidentRecord, assessment: Assessment) -> Iterator[str]:
    if assessment.is_unknown:
        yield from item("leaked: no store and no journal knows the token")
    for leaked in assessment.leaked:
        yield from item(_describe_leaked(leaked, record.state_of(leaked.token_id)))
    report = record.reports.get(assessment.name)
    if assessment.answer:
        at = f" {minute(assessment.answered_at)}" if assessment.answered_at else ""
        yield from item(
            f"{assessment.answer.name} was minted{at} for this leak, and is not replaced again"
        )
    if report:
        yield from item(_describe_result(report))


def _describe_leaked(leaked: LeakedToken, state: LeakedState) -> str:
    made = f", made {minute(leaked.made_at)}" if leaked.made_at else ""
    shown = f", was in {', '.join(leaked.stores)}" if leaked.stores else ", replaced before"
    end = _describe_end(leaked.ends_at)
    return (
        f"leaked: {leaked.token_id}{made}{shown}: {_LEAKED[state]}; as a direct bearer it works"
        f" {end}"
    )


def _describe_end(moment: datetime | None) -> str:
    return f"until {minute(moment)}" if moment else "for ever"


def _describe_result(report: Report) -> str:
    holders = (StoreState.CURRENT, StoreState.WRITTEN)
    stores = [each.store for each in report.stores if each.status in holders]
    end = "valid for ever"
    if report.expires_at:
        end = f"valid until {minute(report.expires_at)} ({remaining_life(report)})"
    now = f"{report.token_id}, {end}, in {', '.join(stores)}" if stores else "no token"
    return f"now: {now} ({report.action})"


def describe_found(record: IncidentRecord, found: FoundToken) -> str:
    """Return one line about a token that no store holds."""
    is_waiting = record.revoke_found and found.state is FoundState.LEFT
    state = "not revoked yet" if is_waiting else _FOUND[found.state]
    return f"{found.row.token_id}: {state}; {describe_listed(found.row)}"


def describe_found_before(record: IncidentRecord) -> Iterator[str]:
    """Yield a line about each token that an earlier run of the command set to revoke."""
    for each in record.found_before:
        state = _LEAKED[record.state_of(each.token_id)].partition(":")[0]
        yield (
            f"{each.token_id}: {state}; an earlier run found it, and was to revoke it; as a direct"
            f" bearer it works {_describe_end(each.expires_at)}"
        )


def describe_state(record: IncidentRecord) -> str:
    """Say how far the run came, and that people have to go on where it is done."""
    state = _STATES[record.state]
    if record.state is not RunState.DONE:
        return state
    if count := len(record.left):
        tokens = (
            "1 token that no store holds is"
            if count == 1
            else f"{count} tokens that no store holds are"
        )
        state += f" But {tokens} alive, and people have to decide about that: see below."
    if record.unsettled:
        state += " But a mint or a revocation of an earlier run is not settled: see below."
    return state
