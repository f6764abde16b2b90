"""The record of an emergency: what leaked, what was done about it and when, and what is left to do.

It goes into an incident ticket, so it holds ids and times, never a token; and it tells the truth
even where the run is cut off: until its end it says that it is not done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

from rotator.audit import DONE, GONE, Event
from rotator.cli.leaked.assessment import Assessment, LeakedToken
from rotator.cli.leaked.emergency import FoundState, FoundToken, Search
from rotator.clock import minute, rfc3339, rfc3339_or_none
from rotator.errors import one_line
from rotator.rotation.report import Report
from rotator.stores.journal import ReplacedToken


class RunState(StrEnum):
    """How far the run came, as `--json` shows it."""

    UNDER_WAY = "under-way"
    DONE = "done"
    NOT_DONE = "not-done"


class LeakedState(StrEnum):
    """What the API made of a leaked token, as `--json` shows it."""

    ALIVE = "alive"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class RecordedStep(NamedTuple):
    """Something that was done at `at` (aware UTC), as the audit trail has it.

    `text` says what was done, for which token of the config, and with which token.
    """

    at: datetime
    fields: Mapping[str, str]
    text: str

    @property
    def is_revocation(self) -> bool:
        """Tell whether the API no longer accepts the token for an exchange, now or before."""
        return self.fields["event"] == Event.REVOKED and self.fields["outcome"] in (DONE, GONE)

    @classmethod
    def build(cls, at: datetime, fields: Mapping[str, str]) -> Self:
        name = f"{fields['token']}, " if "token" in fields else ""
        text = f"{name}{fields['event']}: {one_line(fields['message'])}"
        token_id = fields.get("token_id", "")
        if fields["outcome"] == GONE:
            text = f"{name}looked: the token {token_id} is revoked already, since an earlier time"
            return cls(at, fields, text)
        if token_id not in text:
            text += f" ({token_id})"
        if fields["outcome"] != DONE:
            text += f" – {fields['outcome']}"
        return cls(at, fields, text)


@dataclass(eq=False)
class IncidentRecord:
    """The record of one run; `command` is how to repeat it, `api` the API's URL.

    `since` is when other tokens can have been made with the leaked ones, None while that is not
    known. `found` are those of them that no store holds, once `has_looked`; they are revoked too
    where `revoke_found` asks for it. `elsewhere` are the leaked tokens that live at another API,
    each with its name, and `doubtful` those that may. `revoked` are the ids of the tokens that the
    steps revoked, `alive` those of all live tokens at the end, None before. Times are aware UTC.
    """

    command: str
    api: str
    began_at: datetime
    assessments: Sequence[Assessment] = ()
    account: str = ""
    since: datetime | None = None
    reports: dict[str, Report] = field(default_factory=dict)
    found: list[FoundToken] = field(default_factory=list)
    has_looked: bool = False
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    doubtful: frozenset[str] = frozenset()
    revoked: set[str] = field(default_factory=set)
    alive: frozenset[str] | None = None
    steps: list[RecordedStep] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    ended_at: datetime | None = None
    state: RunState = RunState.UNDER_WAY
    revoke_found: bool = False

    @property
    def leaked(self) -> dict[str, LeakedToken]:
        """The leaked tokens by id, of which several names may share one."""
        return {each.token_id: each for a in self.assessments for each in a.leaked}

    @property
    def left(self) -> list[str]:
        """The ids of the tokens that no store holds, and that people have to decide on."""
        if self.revoke_found:
            return []
        return [each.row.token_id for each in self.found if each.state is FoundState.LEFT]

    @property
    def unsettled(self) -> list[str]:
        """The names for which a mint or a revocation of an earlier run is not settled."""
        return [n for n, report in self.reports.items() if report.unsettled and not report.error]

    @property
    def found_before(self) -> list[ReplacedToken]:
        """The tokens that no store held, and that an earlier run of the command set to revoke."""
        shown = {each.row.token_id for each in self.found}
        noted = {e.token_id: e for a in self.assessments for e in a.leak.found}
        return [each for token_id, each in noted.items() if token_id not in shown]

    def state_of(self, token_id: str) -> LeakedState:
        if token_id in self.elsewhere:
            return LeakedState.ALIVE
        if token_id in self.doubtful:
            return LeakedState.UNKNOWN
        if self.alive is None:
            is_revoked = token_id in self.revoked
            return LeakedState.REVOKED if is_revoked else LeakedState.UNKNOWN
        return LeakedState.ALIVE if token_id in self.alive else LeakedState.REVOKED

    def take_step(self, step: RecordedStep) -> None:
        """Add a step; what it revoked is called revoked from then on."""
        self.steps.append(step)
        if not step.is_revocation:
            return
        token_id = step.fields["token_id"]
        self.revoked.add(token_id)
        for number, found in enumerate(self.found):
            if found.row.token_id == token_id:
                self.found[number] = found._replace(state=FoundState.REVOKED)

    def take_first_look(self, search: Search) -> None:
        """Take what was found before anything was done, in case the run gets no further."""
        self.since, self.found = search.since, list(search.found)
        self.has_looked = search.alive is not None
        self.elsewhere, self.doubtful = search.elsewhere, search.doubtful

    def take_search(self, search: Search) -> None:
        self.take_first_look(search)
        self.alive = search.alive
        self.troubles += search.troubles

    def end(self, now: datetime) -> None:
        """Come to an end: it is done if nothing is left that the command was to do."""
        self.ended_at = now
        self.state = RunState.NOT_DONE if any(self.open_tasks()) else RunState.DONE

    def open_tasks(self) -> Iterator[str]:
        """Tell what the command was to do and did not, each with what to do."""
        for assessment in self.assessments:
            report = self.reports.get(assessment.name)
            if report is None:
                yield f"{assessment.name}: not begun"
            elif report.error:
                yield f"{assessment.name}: {report.error}"
        yield from self.other_tasks()

    def other_tasks(self) -> Iterator[str]:
        """Tell the same, without the failures of the rotations."""
        yield from self.troubles
        for assessment in self.assessments:
            if assessment.is_unknown and not self._is_found_revoked():
                yield (
                    f"{assessment.name}: neither its stores nor their journals know the token that"
                    " leaked: if it lives it is one of those that no store holds; revoke it"
                    " (--revoke-found, or rotator tokens revoke ID)"
                )
        for token_id, name in self.elsewhere.items():
            if token_id in self.leaked:
                yield (
                    f"{token_id} leaked, and is one of API {name}, where it lives: revoke it"
                    f" (rotator tokens revoke --api {name} {token_id}), and look for what was made"
                    f" with it (rotator tokens list --api {name})"
                )
        alive = [each for each in self.leaked if self.state_of(each) is LeakedState.ALIVE]
        alive = [each for each in alive if each not in self.elsewhere]
        if alive:
            them = "it" if len(alive) == 1 else "them"
            yield (
                f"leaked and not revoked: {', '.join(alive)}; run the same command again, or revoke"
                f" {them} at once, which cuts off whoever still needs {them}: rotator tokens revoke"
                " --force ID"
            )
        for each in self.found:
            if each.state is FoundState.FAILED:
                yield f"{each.row.token_id} is not revoked: {each.message}"

    def open_questions(self) -> Iterator[str]:
        """Tell what is left for people, whether or not the command did all of its part."""
        if left := self.left:
            yield (
                f"No store holds {', '.join(left)}: whoever had a leaked token can have made such"
                " tokens. Find out whether anybody needs them; revoke one with rotator tokens"
                f" revoke ID, all of them with {self.command} --revoke-found"
            )
        if names := self.unsettled:
            yield (
                f"{', '.join(names)}: a mint or a revocation of an earlier run is not settled, and"
                f" may still be under way: in some minutes run rotator rotate {' '.join(names)}"
            )
        if bearers := list(self._describe_bearers()):
            yield (
                "Revoking stops only the exchange. As direct bearers these go on working, also to"
                f" make other tokens: {', '.join(bearers)}. Only a new signing key of the API ends"
                " that: ask its operator for one. The API then refuses all service tokens, and"
                " rotator rotate renews them. Until then look for new tokens: rotator tokens list"
            )
        yield "Remove it from where it leaked, and find out how it came there."
        yield "Restart the bots that read their token only when they start."

    def _is_found_revoked(self) -> bool:
        return self.alive is not None and all(
            each.state is FoundState.REVOKED for each in self.found
        )

    def _describe_bearers(self) -> Iterator[str]:
        ends = {token.token_id: token.ends_at for token in self.leaked.values()}
        ends |= dict(self.found_before)
        for found in self.found:
            if found.state is FoundState.REVOKED or self.revoke_found:
                ends[found.row.token_id] = found.row.expires_at
        for token_id, ends_at in ends.items():
            if ends_at is None:
                yield f"{token_id} for ever"
            elif ends_at > (self.ended_at or self.began_at):
                yield f"{token_id} until {minute(ends_at)}"

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints, with stable keys."""
        return {
            "state": self.state,
            "began_at": rfc3339(self.began_at),
            "ended_at": rfc3339_or_none(self.ended_at),
            "api": self.api,
            "account": self.account or None,
            "tokens": [self._token_to_json(each) for each in self.assessments],
            "since": rfc3339_or_none(self.since),
            "found": [
                {**each.row.to_json(), "state": each.state, "message": each.message}
                for each in self.found
            ],
            "found_before": [
                {
                    "token_id": each.token_id,
                    "state": self.state_of(each.token_id),
                    "bearer_until": rfc3339_or_none(each.expires_at),
                }
                for each in self.found_before
            ],
            "steps": [{"time": rfc3339(step.at), **step.fields} for step in self.steps],
            "not_done": list(self.open_tasks()),
            "for_people": list(self.open_questions()),
        }

    def _token_to_json(self, assessment: Assessment) -> dict[str, Any]:
        report = self.reports.get(assessment.name)
        return {
            "name": assessment.name,
            "leaked": [
                {
                    "token_id": each.token_id,
                    "state": self.state_of(each.token_id),
                    "made_at": rfc3339_or_none(each.made_at),
                    "bearer_until": rfc3339_or_none(each.ends_at),
                    "stores": list(each.stores),
                }
                for each in assessment.leaked
            ],
            "result": report.to_json() if report else None,
        }
