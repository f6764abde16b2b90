"""What is known of one token in words, link by link: from its settings to what happens next."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from rotator.cli.status.chain import Ancestor, Chain, StatusView
from rotator.cli.status.words import describe_row
from rotator.clock import in_words, minute
from rotator.daemon.rows import NextStep, StatusRow, Tone, describe_moment, describe_reload
from rotator.errors import hide_tokens, one_line
from rotator.rotation.model import StoreState
from rotator.stores.port import shorten_url

_LONGEST_SCOPE = 60
_STEPS = {  # with the next run
    NextStep.LOOK: "the daemon looks at it again",
    NextStep.SETTLEMENT: "what came of a mint that was cut off is settled",
    NextStep.COPY: "the token is copied to the stores that lack it",
    NextStep.RENEWAL: "it is renewed",
    NextStep.HOOKS: "the hooks that have not worked are repeated",
    NextStep.REVOCATION: "the old token {} is revoked",
    NextStep.EXPIRY: "it expires, if nothing renews it",
}
_DATED = {**_STEPS, NextStep.RENEWAL: "it becomes due, and the next run renews it"}


class Fact(NamedTuple):
    """A fact under a label; `tone` is None where it is neither good nor bad."""

    label: str
    text: str
    tone: Tone | None = None


_NOTHING = Fact("none", "nothing is known or planned")


class Section(NamedTuple):
    title: str
    facts: list[Fact]


def describe_token(view: StatusView) -> list[Section]:
    """Return all that is known of the token that was named; nothing of a fleet."""
    if view.chain:
        found = {title: describe(view.chain) for title, describe in _OF_CHAIN.items()}
        row = view.chain.row
    elif view.is_named:
        (row,) = view.fleet.rows
        found = {"stores": _stores(row), "history": _history(row)}
    else:
        return []
    links = [*found.items(), ("next", _next(row))]
    return [Section(title, list(facts) or [_NOTHING]) for title, facts in links]


def view_as_lines(view: StatusView) -> str:
    """Return a line for each token, one for each fact about a token that was named, and trouble."""
    lines = [describe_row(row) for row in view.fleet.rows]
    for section in describe_token(view):
        title = f"{view.fleet.rows[0].name}: {section.title}"
        lines += [one_line(f"{title}: {fact.label}: {fact.text}") for fact in section.facts]
    if view.fleet.reload_error:
        lines.append(one_line(describe_reload(view.fleet.reload_error)))
    return "".join(f"{line}\n" for line in lines)


def _settings(chain: Chain) -> Iterator[Fact]:
    for key, value, place in chain.settings:
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            origin = place.removesuffix(f" {key}") if place else "default"
            yield Fact(key, f"{text} ({origin})")


def _stores_of_chain(chain: Chain) -> Iterator[Fact]:
    ends = {each.store.url: each.ends_at for each in chain.snapshot.reachable}
    return _stores(chain.row, chain.owners, ends)


def _stores(
    row: StatusRow,
    owners: Mapping[str, str | None] | None = None,
    ends: Mapping[str, datetime | None] | None = None,
) -> Iterator[Fact]:
    for store in row.report.stores if row.report else ():
        is_good = store.status in (StoreState.CURRENT, StoreState.WRITTEN)
        parts = [shorten_url(store.store)]
        if store.message:
            parts.append(store.message.removeprefix(f"{store.store}: "))
        if owner := (owners or {}).get(store.store):
            parts.append(f"{owner} owns this secret")
        if end := (ends or {}).get(store.store):
            parts.append(f"deletes it {minute(end)}")
        tone = Tone.GOOD if is_good else Tone.WARN
        yield Fact(store.status, "; ".join(parts), tone)


def _journal(chain: Chain) -> Iterator[Fact]:
    journal, current, now = chain.journal, chain.snapshot.current, chain.row.now
    if journal.token_id:
        minted = f", minted {_moment(journal.minted_at, now)}" if journal.minted_at else ""
        is_current = current is not None and journal.token_id == current.token_id
        other = "" if is_current else "; the stores show another one"
        yield Fact("token", f"{journal.token_id}{minted}{other}", None if is_current else Tone.WARN)
    else:
        yield Fact("token", "none that a rotator wrote")
    if current and current.token_id != journal.token_id:
        yield Fact("in the stores", current.name)
    if journal.previous_token_id:
        yield Fact("replaced", journal.previous_token_id)
    if journal.leak:
        leaked = ", ".join(each.token_id for each in journal.leak.tokens) or "tokens nobody knew"
        text = f"minted as these had leaked: {leaked}; none was made before"
        yield Fact("leak", f"{text} {minute(journal.leak.since)}", Tone.WARN)
    for mint in chain.mints:
        which = f" of {mint.token_id}" if mint.token_id else ""
        text = f"a mint{which} that began {_moment(mint.begun_at, now)}, under way or cut off"
        yield Fact("open", text, Tone.WARN)
    if journal.put_back_at:
        text = f"an old token, first seen {_moment(journal.put_back_at, now)}"
        yield Fact("put back", text, Tone.WARN)
    if not chain.mints:
        yield Fact("open", "nothing")


def _api(chain: Chain) -> Iterator[Fact]:
    api, now, listed = chain.api, chain.row.now, chain.row_of_current
    if api.accepts is None:
        yield Fact("exchange", f"not known: {api.why_not_asked}")
    elif api.accepts:
        yield Fact("exchange", "the API accepts the token", Tone.GOOD)
    else:
        yield Fact("exchange", "the API does not accept the token", Tone.BAD)
    if listed:
        scope = hide_tokens(listed.scope or "–")[:_LONGEST_SCOPE]
        minted, used = _moment(listed.created_at, now), _last_use(listed.last_used_at, now)
        yield Fact("list", f"minted {minted}, {used}, scope {scope}")
    elif api.listed is None:
        yield Fact("list", f"not known: {api.why_not_listed}")
    elif chain.snapshot.current:
        tone = None if api.accepts else Tone.BAD
        yield Fact("list", "the token is not in it: it was revoked, or minted just now", tone)


def _hooks(chain: Chain) -> Iterator[Fact]:
    for name, is_owed in chain.hooks.items():
        if is_owed:
            yield Fact("owed", f"{name} has not worked since the last rotation", Tone.WARN)
        else:
            yield Fact("not owed", name, Tone.GOOD)
    if not chain.hooks:
        yield Fact("none", "the settings have none")


def _old_tokens(chain: Chain) -> Iterator[Fact]:
    found = [_ancestor(each, chain) for each in chain.ancestors()]
    yield from found or [Fact("none", "no journal knows any")]


def _ancestor(old: Ancestor, chain: Chain) -> Fact:
    now, parts, tone = chain.row.now, [old.token_id], None
    if pending := old.pending:
        label = str(pending.state)
        if pending.is_pending:
            unused = " if it is unused until then" if pending.is_in_use else ""
            parts.append(f"to be revoked {_moment(pending.due_at, now)}{unused}")
            tone = Tone.WARN if pending.due_at <= now or unused else None
        if pending.at_most:
            parts.append(f"at the latest {_moment(pending.at_most, now)}")
        if pending.message:
            parts.append(pending.message)
    else:
        label = "revoked" if old.is_listed is False else "left alone"
        if old.expires_at:
            over = old.expires_at <= now
            verb = "expired" if over else "expires"
            parts.append(f"{verb} {_moment(old.expires_at, now)}")
    if old.is_listed is False:
        parts.append("the API no longer lists it")
    elif old.is_listed:
        parts.append(_last_use(old.last_used_at, now))
    return Fact(label, "; ".join(parts), tone)


def _history(row: StatusRow) -> Iterator[Fact]:
    for entry in row.state.history if row.state else ():
        what = _moment(entry.at, row.now)
        if entry.error:
            yield Fact("failed", f"{what}: {entry.error}", Tone.WARN)
        else:
            yield Fact(str(entry.action), f"{what}: {entry.message}", Tone.GOOD)
    if not row.state or not row.state.history:
        yield Fact("none", "nothing was renewed and nothing failed since the daemon started")


def _next(row: StatusRow) -> Iterator[Fact]:
    now = row.now
    for step in row.plan():
        if step.at is None or step.at <= now:
            yield Fact("next run", _STEPS[step.step].format(step.token_id))
        else:
            text = _DATED[step.step].format(step.token_id)
            yield Fact(f"in {in_words(step.at - now)}", f"{text} ({minute(step.at)})")


def _last_use(at: datetime | None, now: datetime) -> str:
    return f"last used {_moment(at, now)}" if at else "never used"


def _moment(at: datetime, now: datetime) -> str:
    return f"{minute(at)} ({describe_moment(at, now)})"


_OF_CHAIN: dict[str, Callable[[Chain], Iterator[Fact]]] = {
    "settings": _settings,
    "stores": _stores_of_chain,
    "journal": _journal,
    "the API": _api,
    "hooks": _hooks,
    "old tokens": _old_tokens,
}
