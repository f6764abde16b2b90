"""Observe and decide: read every store of a token, find the current token, and tell what it needs.

A store is written only while it is as it was observed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator.audit import Event, trace
from rotator.clock import WRONG_CLOCK, describe_skew
from rotator.config.settings import TokenSettings
from rotator.errors import (
    ConflictError,
    MalformedTokenError,
    RotatorError,
    StoreError,
    StoreUnreachableError,
    TokenRefusedError,
    internal_error,
)
from rotator.rotation.policy import (
    Inputs,
    Need,
    PutBack,
    RotateOptions,
    Status,
    Verdict,
    decide,
)
from rotator.stores.journal import Journal
from rotator.stores.port import (
    Absent,
    BumpedStore,
    FirstRead,
    KeepsHistory,
    KnowsProvenance,
    Provenance,
    SecretStore,
    is_missing_file,
)
from rotator.tokens import ServiceToken, describe_foreign

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import TokenApi

_log = logging.getLogger(__name__)
ATTEMPTS = 5  # to note a journal while other rotators note theirs


@dataclass(frozen=True, slots=True)
class Observation:
    """What a store showed: a token, a text that is no token (`fault` says why), or nothing.

    `version`, `journal`, `ends_at`, `has_scratch` and `has_leftovers` are those of the port;
    `secret` is None where there is nothing.
    """

    store: SecretStore
    secret: str | None = field(repr=False)
    version: str
    journal: Journal
    token: ServiceToken | None = None
    fault: MalformedTokenError | None = field(default=None, compare=False)  # it is the secret's
    ends_at: datetime | None = None
    has_scratch: bool = False
    has_leftovers: bool = field(default=False, compare=False)  # as a lock alone changes it

    def shows(self, token: ServiceToken | None) -> bool:
        return token is not None and self.token is not None and self.token.secret == token.secret

    @property
    def is_written_by_rotator(self) -> bool:
        """Tell whether the journal is about the token beside it, which was not put in by hand."""
        token_id = self.journal.token_id
        return self.token is not None and token_id is not None and token_id == self.token.token_id

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of the tokens that the store shows, or showed by its journal."""
        ids = {self.journal.token_id, self.token.token_id if self.token else None}
        return self.journal.old_ids | {token_id for token_id in ids if token_id}

    @property
    def is_put_back(self) -> bool:
        """Tell whether somebody put a token back that the rotator had replaced here."""
        return (
            self.token is not None
            and self.journal.token_id is not None
            and self.token.token_id in self.journal.old_ids
        )

    def write(self, token: ServiceToken, journal: Journal) -> None:
        """Replace secret and journal; raises what the store raises."""
        url = self.store.url
        message = f"the token was written to {url}"
        with trace(Event.WRITTEN, message, store=url, token_id=token.name):
            self.store.write(token.secret, journal, expected=self.version)

    def note(
        self, journal: Journal, event: Event, message: str, **fields: str | None
    ) -> Observation:
        """Replace the journal alone; return what the store then shows. Raises what it raises."""
        with trace(event, message, store=self.store.url, **fields):
            version = self.store.note(journal, expected=self.version)
        return replace(self, journal=journal, version=version)

    def fence(self, mint_ids: Collection[str]) -> Observation:
        """Make sure that those who began these mints, should they only sleep, write here no more.

        Return what the store then shows. Raises what the store raises.
        """
        fenced = _note(self, lambda each: each.journal.with_taken_over(mint_ids))
        store = fenced.store
        if not isinstance(store, BumpedStore):
            return fenced
        with trace(Event.FENCED, f"the version of {store.url}", store=store.url):
            return replace(fenced, version=store.bump(expected=fenced.version))


class Unreachable(NamedTuple):
    """A store that did not answer, or denied access."""

    store: SecretStore
    error: StoreError


class Snapshot:
    """All stores of one token, in their configured order, as they were at `taken_at` (aware UTC).

    `current` is the newest live token in them, `journal` the one about it, empty where there is
    none. `lacking` are the stores that answered and do not hold it, behind or absent. `fault` is
    what is wrong with the text in the first store that holds no token but a text. `put_back` are
    the stores into which somebody put an old token. `intents` and `pending` are the open ones of
    all journals, and `hooks` the ids of the hooks that have not worked yet.
    """

    def __init__(
        self,
        answers: Iterable[Observation | Unreachable],
        current: ServiceToken | None,
        taken_at: datetime,
    ) -> None:
        self.answers = tuple(answers)
        self.current = current
        self.taken_at = taken_at
        self.reachable = tuple(each for each in self.answers if isinstance(each, Observation))
        self.unreachable = tuple(each for each in self.answers if isinstance(each, Unreachable))
        self.lacking = tuple(each for each in self.reachable if not each.shows(current))
        self.fault = next((each.fault for each in self.reachable if each.fault), None)
        journals = [each.journal for each in self.reachable]
        self.intents = tuple(intent for journal in journals for intent in journal.intents)
        self.hooks = tuple(dict.fromkeys(hook for journal in journals for hook in journal.hooks))
        # Each as the first store that names the token has it.
        pending = [each for journal in journals for each in journal.pending]
        self.pending = tuple({each.token_id: each for each in reversed(pending)}.values())
        self.put_back = tuple(each for each in self.reachable if each.is_put_back)
        is_about_current = [
            each for each in self.reachable if each.shows(current) and each.is_written_by_rotator
        ]
        # Where an old token was put back, the journal is still about the one that is lost there.
        is_about_current += [
            each for each in self.put_back if current and each.journal.token_id == current.token_id
        ]
        self.journal = next((each.journal for each in is_about_current), Journal())

    @property
    def lost_id(self) -> str | None:
        """The id of the current token's successor, if somebody put the current token back."""
        put_back = (each for each in self.put_back if each.shows(self.current))
        return next((each.journal.token_id for each in put_back), None)

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of all tokens that the stores show, or showed by their journals."""
        return frozenset(token_id for each in self.reachable for token_id in each.known_ids)

    @property
    def has_notes(self) -> bool:
        """Tell whether a journal notes something to do, now or later."""
        return bool(self.intents or self.pending or self.hooks)

    def ends_at(self, token: ServiceToken | None) -> datetime | None:
        """Return when the first of the stores that hold this token will delete it by itself."""
        ends = [each.ends_at for each in self.reachable if each.ends_at and each.shows(token)]
        return min(ends, default=None)

    def note(self, change: Callable[[Observation], Journal]) -> tuple[Snapshot, list[str]]:
        """Write each journal that `change` changes; return the new snapshot, and what went wrong.

        Where another rotator notes at the same time, `change` is applied to what it wrote. One that
        has replaced the token also took over what the journal said, so nothing is noted then.
        """
        answers: list[Observation | Unreachable] = []
        troubles: list[str] = []
        for answer in self.answers:
            try:
                answers.append(_note(answer, change) if isinstance(answer, Observation) else answer)
            except StoreError as error:
                answers.append(answer)
                troubles.append(str(error))
        return Snapshot(answers, self.current, self.taken_at), troubles


def observe(stores: Iterable[SecretStore], now: datetime) -> Snapshot:
    """Read each store once; `now` (aware UTC) tells which tokens live. Raises nothing."""
    return snapshot_of((observe_store(store) for store in stores), now)


def snapshot_of(answers: Iterable[Observation | Unreachable], now: datetime) -> Snapshot:
    answers = tuple(answers)
    observations = [each for each in answers if isinstance(each, Observation)]
    return Snapshot(answers, _newest_token(observations, now), now)


def observe_store(store: SecretStore, read: FirstRead | None = None) -> Observation | Unreachable:
    """Read one store, or what was read of it ahead; an error becomes the answer."""
    try:
        entry = read() if read else store.read()
    except StoreError as error:
        return Unreachable(store, error)
    except Exception as error:  # noqa: BLE001 - a bug in one backend must not stop the others
        return Unreachable(store, StoreUnreachableError(f"{store.url}: {internal_error(error)}"))
    if isinstance(entry, Absent):
        return Observation(
            store,
            None,
            entry.version,
            entry.journal,
            has_scratch=entry.has_scratch,
            has_leftovers=entry.has_leftovers,
        )
    token, fault = None, None
    try:
        token = ServiceToken.parse(entry.secret)
    except MalformedTokenError as error:
        if what := describe_foreign(entry.secret):
            return Unreachable(store, _refuse_foreign(store, what))
        fault = error
    return Observation(
        store,
        entry.secret,
        entry.version,
        entry.journal,
        token,
        fault,
        entry.ends_at,
        entry.has_scratch,
        entry.has_leftovers,
    )


def _refuse_foreign(store: SecretStore, what: str) -> StoreError:
    """Return the error about a value that others turn into a token, and that has to stay."""
    match what:
        case "a reference":
            text = "the value is a reference, which another program replaces: rotate what it names"
        case "encrypted":
            text = "the value is encrypted, which another program decrypts: name another"
        case _:
            text = f"the value is {what}, and a bare token must not take its place: look at it"
    return StoreError(f"{store.url}: {text}, or write the token alone there")


def _newest_token(observations: list[Observation], now: datetime) -> ServiceToken | None:
    """Return the newest token, whatever the order of the stores; a token has no date of creation.

    A live token is newer than a dead one, and one that a journal calls replaced is older. Among the
    others, the newest of those that rotators minted, by the journals' dates, and the one among the
    rest that expires last are compared by their expiry.
    """
    if len(observations) <= 1:
        return observations[0].token if observations else None
    old = frozenset[str]().union(*(each.journal.old_ids for each in observations))
    minted: dict[str, datetime] = {}
    for each in observations:
        if each.token and each.is_written_by_rotator and each.journal.minted_at:
            known = minted.get(each.token.secret, each.journal.minted_at)
            minted[each.token.secret] = max(known, each.journal.minted_at)

    def rank(token: ServiceToken) -> tuple[bool, bool]:
        return _remaining(token, now) > timedelta(), token.token_id not in old

    def expiry(token: ServiceToken) -> tuple[timedelta, str]:
        return _remaining(token, now), token.secret  # equal ones need an order, too

    tokens = {each.token.secret: each.token for each in observations if each.token}.values()
    highest = max(map(rank, tokens), default=None)
    newest = [token for token in tokens if rank(token) == highest]
    recorded = [token for token in newest if token.secret in minted]
    finalists = [token for token in newest if token.secret not in minted]
    if recorded:
        finalists = [
            *sorted(finalists, key=expiry)[-1:],
            max(recorded, key=lambda token: (minted[token.secret], *expiry(token))),
        ]
    return max(finalists, key=expiry, default=None)


def _remaining(token: ServiceToken, now: datetime) -> timedelta:
    left = token.remaining(now)
    return timedelta.max if left is None else left


def _note(observation: Observation, change: Callable[[Observation], Journal]) -> Observation:
    now, attempts = observation, 0
    message = f"the journal in {observation.store.url} was updated"
    while (journal := change(now)) != now.journal:
        attempts += 1
        try:
            return now.note(journal, Event.NOTED, message)
        except ConflictError:
            latest = observe_store(now.store)
            if isinstance(latest, Unreachable):
                raise latest.error from None
            if latest.secret != now.secret and latest.is_written_by_rotator:
                return observation
            if latest.secret != now.secret or attempts == ATTEMPTS:
                raise
            now = latest
    return now


class Decider(NamedTuple):
    """Applies the policy to what the stores of one token showed, and to what the API says of it.

    `decide_from_stores` asks no API, `decide_after_probe` asks it, and `decide_and_probe` asks it
    where the answer can change the verdict. `api` connects at its first call.
    """

    settings: TokenSettings
    api: Callable[[], TokenApi]

    def decide_from_stores(
        self, snapshot: Snapshot, options: RotateOptions, skew: timedelta = timedelta()
    ) -> Verdict:
        if not snapshot.reachable:
            message = "no store of this token could be read"
            return Verdict(Status.UNKNOWN, "unreachable", message, Need.NOTHING)
        verdict = decide(self._inputs(snapshot, options, skew))
        if verdict.status is Status.MISSING and snapshot.unreachable and not options.force:
            # An unreachable store may hold the token, which a new one would replace.
            message = "there is no token in the stores that could be read (--force makes one)"
            return Verdict(Status.UNKNOWN, "unreachable", message, Need.NOTHING)
        return verdict

    def decide_after_probe(
        self, snapshot: Snapshot, options: RotateOptions
    ) -> tuple[Verdict, str | None]:
        """Ask the server whether it accepts the token; the text says why it did not tell."""
        inputs = self._inputs(snapshot, options)
        no_answer, refused = None, False
        try:
            self.api().probe(inputs.token.secret if inputs.token else "")
        except TokenRefusedError:
            refused = True
        except RotatorError as error:
            no_answer = str(error)
        inputs = replace(inputs, now=snapshot.taken_at - self.skew())
        is_over = inputs.left is not None and inputs.left <= timedelta()  # reason enough
        inputs = replace(inputs, refused=refused and not is_over)
        return self._with_clock(decide(inputs)), no_answer

    def decide_by_server_clock(self, snapshot: Snapshot, options: RotateOptions) -> Verdict:
        """Decide once more by the server's time, which this run has asked for."""
        return self._with_clock(self.decide_from_stores(snapshot, options, self.skew()))

    def skew(self) -> timedelta:
        """Return how far this machine's clock is ahead of the server's, if that is worth a word.

        It is known from the answers of this run; before the first one it is nothing.
        """
        skew = self.api().time.skew or timedelta()
        return skew if abs(skew) >= WRONG_CLOCK else timedelta()

    def has_server_time(self) -> bool:
        return self.api().time.skew is not None

    def warn_once(self, wrong_clock: str) -> None:
        """Log it, for the first token of a run only."""
        time = self.api().time
        if not time.is_told:
            time.is_told = True
            _log.warning("%s", wrong_clock)

    def _with_clock(self, verdict: Verdict) -> Verdict:
        wrong = describe_skew(self.skew())
        return verdict._replace(message=f"{verdict.message}; {wrong}") if wrong else verdict

    def decide_and_probe(self, snapshot: Snapshot, options: RotateOptions) -> Verdict:
        """Decide, and ask the server where its answer can change the verdict.

        What is to be copied is asked for always: the copy of a dead token would fail in each run,
        and renew nothing.
        """
        verdict = self.decide_from_stores(snapshot, options)
        is_probed = self.settings.probe or verdict.need is Need.COPY
        if not is_probed or verdict.need is Need.MINT or not snapshot.current:
            return verdict
        verdict, error = self.decide_after_probe(snapshot, options)
        if error:  # neither a reason to rotate nor a failure: the next run asks again
            message = f"{verdict.message}; the API does not say whether it accepts it: {error}"
            verdict = verdict._replace(message=message)
        return verdict

    def decide_refused(self, snapshot: Snapshot) -> Verdict:
        """Decide about a current token which the server is known to refuse."""
        return decide(replace(self._inputs(snapshot, RotateOptions()), refused=True))

    def recover(self, snapshot: Snapshot, options: RotateOptions) -> Snapshot:
        """Find the token again in whose place somebody put an old one, and make it the current one.

        Returns the same snapshot where there is nothing to recover, or no store still has the
        token, or the API does not accept it any more. Raises `ApiError` when the API does not say.
        """
        lost_id = snapshot.lost_id
        if lost_id is None or options.force:
            return snapshot
        found = next((t for t in _earlier_tokens(snapshot) if t.token_id == lost_id), None)
        if found is None or _remaining(found, snapshot.taken_at) <= timedelta():
            return snapshot
        try:
            self.api().exchange(found.secret)
        except TokenRefusedError:
            return snapshot
        return Snapshot(snapshot.answers, found, snapshot.taken_at)

    def decide_written(self, token: ServiceToken, now: datetime) -> Verdict:
        return decide(Inputs(now, self.settings.renew_before, token))

    def _inputs(
        self, snapshot: Snapshot, options: RotateOptions, skew: timedelta = timedelta()
    ) -> Inputs:
        return Inputs(
            now=snapshot.taken_at - skew,
            renew_before=self.settings.renew_before,
            token=snapshot.current,
            fault=snapshot.fault,
            scope=options.scope or self.settings.scope,
            minted_at=snapshot.journal.minted_at,
            lacking=len(snapshot.lacking),
            forced=options.force,
            hold_back=options.hold_back,
            put_back=_describe_put_back(snapshot),
            ends_at=snapshot.ends_at(snapshot.current),
        )


def _earlier_tokens(snapshot: Snapshot) -> Iterator[ServiceToken]:
    for observation in snapshot.put_back:
        if not isinstance(observation.store, KeepsHistory):
            continue
        with suppress(StoreError):  # a history that may not be read is as good as none
            for text in observation.store.earlier_secrets():
                with suppress(MalformedTokenError):
                    yield ServiceToken.parse(text)


def _describe_put_back(snapshot: Snapshot) -> PutBack | None:
    if not snapshot.put_back:
        return None
    first = snapshot.put_back[0]
    provenance = provenance_of(first.store)
    return PutBack(
        store=first.store.url,
        token_id=first.token.name if first.token else "",
        lost_id=first.journal.token_id or "",
        is_lost=snapshot.lost_id is not None,
        is_repeated=any(each.journal.put_back_at for each in snapshot.put_back),
        changed_at=provenance.changed_at,
        owner=provenance.owner or provenance.writer,
    )


def provenance_of(store: SecretStore) -> Provenance:
    """Return who else writes a secret; nothing where the store does not tell. Raises nothing."""
    if isinstance(store, KnowsProvenance):
        with suppress(StoreError):
            return store.provenance()
    return Provenance()


def lack_of(reading: Observation, now: datetime) -> tuple[str, str]:
    """Return the reason and the message for a store that answered, and shows no live token.

    The reason is for programs, and stays the same while the time in the message goes on.
    """
    verdict = decide(
        Inputs(now, renew_before=timedelta(), token=reading.token, fault=reading.fault)
    )
    why = verdict.message
    if verdict.status is Status.MISSING and is_missing_file(reading.store.url):
        why = "there is no such file yet"
    return verdict.reason, f"{reading.store.url}: {why}; rotator rotate makes a new one"
