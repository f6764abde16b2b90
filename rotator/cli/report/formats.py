"""The evidence as Markdown for people, and as CSV for spreadsheets."""

from collections.abc import Iterator

from rotator import __version__
from rotator.cli.markdown import describe_listed, item, paragraph, second
from rotator.cli.report.evidence import AuditedToken, Evidence, MarkedToken
from rotator.cli.report.policy import RuleName, RuleState
from rotator.cli.spreadsheet import as_csv as render_csv
from rotator.clock import in_words, minute
from rotator.rotation.report import remaining_life

_STATES = {
    RuleState.KEPT: "kept",
    RuleState.BROKEN: "BROKEN",
    RuleState.UNKNOWN: "NOT PROVEN",
    RuleState.UNSET: "not asked for",
}
_RULES = {
    RuleName.RENEWED: "renewed in time",
    RuleName.AGE: "not too old",
    RuleName.END: "not eternal",
    RuleName.STORES: "in every store",
    RuleName.FINISHED: "nothing left undone",
    RuleName.RETIRED: "old tokens retired",
    RuleName.MOVED: "no old token in use",
}
_OPEN = (RuleState.BROKEN, RuleState.UNKNOWN)
_OWN_USE = "(by a bot, or by a check of the rotator's own)"
COLUMNS = (
    *("kind", "name", "token_id", "policy", "broken", "status", "marks", "age_days", "days_left"),
    *("made_at", "last_rotation_at", "expires_at", "last_used_at", "scope", "stores"),
)


def as_markdown(evidence: Evidence) -> str:
    return "\n".join((*_head(evidence), *_tokens(evidence), *_account(evidence), ""))


def as_csv(evidence: Evidence) -> str:
    """Return a row for each configured token, then one for each token that has marks."""
    rows = [_row_of_token(token) for token in evidence.tokens]
    return render_csv(COLUMNS, [*rows, *map(_row_of_marked, evidence.marked)])


def _head(evidence: Evidence) -> Iterator[str]:
    yield f"# Service tokens on {second(evidence.taken_at)}"
    yield ""
    states = [token.state for token in evidence.tokens]
    broken, unknown = (states.count(state) for state in _OPEN)
    yield from paragraph(
        f"rotator {__version__} at the API {evidence.api}, with the admin account"
        f" {evidence.account}. Tokens: {len(states)}. Policy kept: {states.count(RuleState.KEPT)},"
        f" broken: {broken}, not proven: {unknown}."
    )
    if evidence.troubles:
        yield ""
    for trouble in evidence.troubles:
        yield from item(f"NOT KNOWN: {trouble}")


def _tokens(evidence: Evidence) -> Iterator[str]:
    # What somebody has to look after comes first.
    for state in (*_OPEN, RuleState.KEPT):
        for token in evidence.tokens:
            if token.state is state:
                yield from ("", f"## {token.name}: policy {_STATES[state]}", "")
                yield from _about(token)


def _about(token: AuditedToken) -> Iterator[str]:
    facts, report = token.facts, token.facts.report
    if report.token_id:
        age = f", {in_words(facts.age)} old" if facts.age is not None else ""
        made = f", made {minute(facts.made_at)}" if facts.made_at else ""
        yield from item(f"token: {report.token_id}{age}{made}")
    end = f" (until {minute(report.expires_at)})" if report.expires_at else ""
    yield from item(f"left: {remaining_life(report)}{end}")
    minted_at = facts.snapshot.journal.minted_at
    rotated = minute(minted_at) if minted_at else "never by a rotator, as far as the stores know"
    yield from item(f"last rotation: {rotated}")
    if facts.row:
        used_at = facts.row.last_used_at
        yield from item(f"last used: {f'{minute(used_at)} {_OWN_USE}' if used_at else 'never'}")
    for each in report.stores:
        yield from item(f"store: {each.store} ({each.status})")
    for result in token.results:
        yield from item(f"{_RULES[result.rule]}: {_STATES[result.state]} – {result.message}")


def _account(evidence: Evidence) -> Iterator[str]:
    yield from ("", "## The account", "")
    yield from paragraph(
        "Tokens of the admin account that never expire, are orphans (alive, and in no store), have"
        f" expired, or were not used for {in_words(evidence.unused)}:"
        f" {len(evidence.marked) or 'none'}."
    )
    if evidence.marked:
        yield ""
    for marked in evidence.marked:
        places = ", ".join(f"{place.name}: {place.part}" for place in marked.row.places)
        yield from item(
            f"{marked.row.token_id}: {', '.join(marked.marks)}; {describe_listed(marked.row)}"
            f"{f', {places}' if places else ''}"
        )


def _row_of_token(token: AuditedToken) -> dict[str, object]:
    shown = token.to_json()
    broken = [result for result in token.results if result.state in _OPEN]
    return {
        "kind": "token",
        **{name: shown[name] for name in COLUMNS if name in shown},
        "broken": "; ".join(f"{each.rule}: {each.message}" for each in broken),
        "scope": token.facts.row.scope if token.facts.row else "",
        "stores": " ".join(f"{e['store']} ({e['status']})" for e in shown["stores"]),
    }


def _row_of_marked(marked: MarkedToken) -> dict[str, object]:
    shown = marked.row.to_json()
    return {
        "kind": "account",
        **{name: shown[name] for name in COLUMNS if name in shown},
        "marks": " ".join(marked.marks),
        "made_at": shown["created_at"],
        "stores": " ".join(f"{e['store']} ({e['status']})" for e in shown["stores"]),
    }
