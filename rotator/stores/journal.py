"""The journal: the small record that a rotation leaves beside the secret.

It holds ids and times, never a token, and its text form is made of letters, digits, spaces and
`_.:/=+-@` only, so that it fits wherever a store keeps notes – AWS tags allow no more
(https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html):

    v=1 token=5f0c… previous=1b2d… minted=2026-11-23T09:12:33Z owed=1b2d…@2026-11-24T09:12:33Z

Its words are older than those of the code, and stay, since stores have them:

    token=, previous=, minted=   token_id, previous_token_id, minted_at
    intent=                      intents       Intent: a mint that is not settled
    owed=, unused=               pending       PendingRevocation, and the Disuse of the same token
    old=                         replaced      ReplacedToken: alive perhaps, and not to be revoked
    hook=                        hooks         ids (digests) of those that have not worked yet
    back=                        put_back_at
    leak=, leaked=, found=       leak          Leak: since when, and the tokens
    push=                        pushes        Push: what a mirror got last
    store=                       stores        NamedStore: where else the token was written

At rest it has fewer than 256 characters, unless the token has several stores, or an old one ends
only when nobody uses it any more; a store with a limit spreads a longer one over several notes.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple, Self

from rotator.tokens import ID_PATTERN, is_token_id

_FORMAT = "v=1"
# What lies outside comes from a broken clock or a forger, and no date can be counted from it.
_YEARS = range(2000, 2400)
FAR = datetime(2399, 12, 31, tzinfo=UTC)  # in the place of a date that never comes
_DIGEST = re.compile(r"[0-9a-f]{8}")
_ETERNAL = "eternal"
# These are compiled where they are used: most journals have none of them.
_INTENT = (
    r"(?P<mint>[0-9a-f]{12})/(?P<begun>[0-9T:Z-]+)/(?P<days>[1-9][0-9]{0,2}|eternal)"
    rf"/(?P<scope>[0-9a-f]{{8}})(/(?P<token_id>{ID_PATTERN}))?(?P<earlier>(\+{ID_PATTERN})*)"
)
_PUSH = r"(?P<mirror>[0-9a-f]{16})/(?P<token>[0-9a-f]{16})@(?P<at>[0-9T:Z-]+)"
_NOTHING, _BOUNDED, _HUSHED = "-", "bounded", "hushed"
_FOREIGN = r"[^A-Za-z0-9_.:/=+-]"  # written as @ and two digits for each byte
_ESCAPED = r"@([0-9a-f]{2})"
_ROOM = 240  # characters for the names of stores: AWS ends a tag at 256, and has few of them
_DISUSE = (
    rf"(?P<token_id>{ID_PATTERN})/(?P<quiet>[1-9][0-9]{{0,9}})/(?P<bound>-|{_BOUNDED})"
    rf"/(?P<since>[0-9T:Z-]+)/(?P<used>[0-9T:Z-]+)/(?P<pause>-|[1-9][0-9]{{0,9}})"
    rf"/(?P<hushed>-|{_HUSHED})"
)
# A random id never begins so. Older versions read such an id like any other.
_TAKEN_OVER = "dead"
_MOST = 8  # of a kind; beyond that the oldest are forgotten


class Intent(NamedTuple):
    """A mint that was begun and is not settled: its token may exist, and no store holds it.

    Once its rotator counts as dead, another one takes it over (`taken_over`): a write of the first
    then finds its intent gone, and is a conflict.

    `begun_at` is the server's time (aware UTC, whole seconds), `days` the wanted life, None for
    eternal, `scope` a digest of the wanted scope. `token_id` is known from the answer on. `earlier`
    are tokens that look as if they came of this mint, but were there before.
    """

    mint_id: str
    begun_at: datetime
    days: int | None
    scope: str
    token_id: str | None = None
    earlier: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Return one word."""
        days = _ETERNAL if self.days is None else str(self.days)
        parts = (self.mint_id, _time_text(self.begun_at), days, self.scope)
        text = "/".join((*parts, self.token_id) if self.token_id else parts)
        return "+".join((text, *self.earlier))

    def taken_over(self) -> "Intent":
        """Return the record of the same mint under an id that its rotator does not know.

        That id follows from the first: those who take over one intent at the same time, or after
        one of them died, all come to the same, so that it never looks like two mints.
        """
        return self._replace(mint_id=taken_over_id(self.mint_id))

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Read the text form, None where it is not one."""
        match = re.fullmatch(_INTENT, text)
        begun_at = _checked_time(match["begun"]) if match else None
        if match is None or begun_at is None:
            return None
        days = None if match["days"] == _ETERNAL else int(match["days"])
        earlier = tuple(match["earlier"].split("+")[1:])
        return cls(match["mint"], begun_at, days, match["scope"], match["token_id"], earlier)


class Disuse(NamedTuple):
    """What is known of the use of an old token that is revoked once nobody has used it for `quiet`.

    All times are the server's (aware UTC, whole seconds), and all spans whole seconds. `is_bounded`
    says that the token is revoked at its `due_at` all the same; otherwise it ends by itself then.
    `since` is when all stores were first seen without it, `used_at` its last use as the API has
    told. `pause` is the longest time between two uses seen after `since`. `is_hushed` says that
    nobody has used it for much longer than that.
    """

    quiet: timedelta
    is_bounded: bool = False
    since: datetime | None = None
    used_at: datetime | None = None
    pause: timedelta | None = None
    is_hushed: bool = False

    def to_text(self, token_id: str) -> str:
        """Return one word."""
        parts = (
            token_id,
            _seconds_text(self.quiet),
            _BOUNDED if self.is_bounded else _NOTHING,
            _time_text(self.since) if self.since else _NOTHING,
            _time_text(self.used_at) if self.used_at else _NOTHING,
            _seconds_text(self.pause) if self.pause else _NOTHING,
            _HUSHED if self.is_hushed else _NOTHING,
        )
        return "/".join(parts)

    @classmethod
    def from_text(cls, text: str) -> tuple[str, Self] | None:
        """Read the text form; return the token's id as well, None where it is not one."""
        match = re.fullmatch(_DISUSE, text)
        if match is None:
            return None
        return match["token_id"], cls(
            quiet=timedelta(seconds=int(match["quiet"])),
            is_bounded=match["bound"] == _BOUNDED,
            since=_checked_time(match["since"]),
            used_at=_checked_time(match["used"]),
            pause=None if match["pause"] == _NOTHING else timedelta(seconds=int(match["pause"])),
            is_hushed=match["hushed"] == _HUSHED,
        )


class PendingRevocation(NamedTuple):
    """An old token that is to be revoked, at `due_at` (aware UTC, whole seconds) or later.

    With `disuse`, that is when it ends at the latest: it is revoked once it is unused.
    """

    token_id: str
    due_at: datetime
    disuse: Disuse | None = None

    def to_text(self) -> str:
        """Return one word, without the disuse.

        Versions before it read no more, and revoke nothing too early.
        """
        return f"{self.token_id}@{_time_text(self.due_at)}"

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Read the text form, None where it is not one."""
        token_id, _, due = text.partition("@")
        due_at = _checked_time(due)
        return cls(token_id, due_at) if is_token_id(token_id) and due_at else None


class ReplacedToken(NamedTuple):
    """An old token that nobody revokes, until it ends at `expires_at` (aware UTC), None: never."""

    token_id: str
    expires_at: datetime | None

    def to_text(self) -> str:
        """Return one word."""
        end = _time_text(self.expires_at) if self.expires_at else _ETERNAL
        return f"{self.token_id}@{end}"

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Read the text form, None where it is not one."""
        token_id, _, end = text.partition("@")
        expires_at = _checked_time(end)
        is_known = is_token_id(token_id) and (end == _ETERNAL or expires_at)
        return cls(token_id, expires_at) if is_known else None


class Push(NamedTuple):
    """What was last put into a mirror: digests of its URL and of the token.

    `at` is when (aware UTC, whole seconds), by the mirror's clock where it has one.
    """

    mirror: str
    token: str
    at: datetime

    def to_text(self) -> str:
        """Return one word."""
        return f"{self.mirror}/{self.token}@{_time_text(self.at)}"

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Read the text form, None where it is not one."""
        match = re.fullmatch(_PUSH, text)
        at = _checked_time(match["at"]) if match else None
        return cls(match["mirror"], match["token"], at) if match and at else None


class NamedStore(NamedTuple):
    """A store that the token was written to as well, by its canonical URL.

    `ends_at` (aware UTC, whole seconds) is None while it is as good as this one. For a store that
    was given up it is when the token ends that may still be there, `FAR` for an eternal one.
    """

    url: str
    ends_at: datetime | None = None

    def to_text(self) -> str:
        """Return one word."""
        letters = self.url.encode("utf-8", "surrogateescape").decode("latin-1")
        name = re.sub(_FOREIGN, lambda found: f"@{ord(found[0]):02x}", letters)
        return f"{_time_text(self.ends_at) if self.ends_at else _NOTHING}/{name}"

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Read the text form, None where it is not one."""
        end, _, name = text.partition("/")
        ends_at = _checked_time(end)
        if not name or not (ends_at or end == _NOTHING):
            return None
        letters = re.sub(_ESCAPED, lambda found: chr(int(found[1], 16)), name)
        raw = letters.encode("latin-1", "replace")
        return cls(raw.decode("utf-8", "surrogateescape"), ends_at)


class Leak(NamedTuple):
    """Why a token was minted: `tokens` had leaked, or what else the rotator did not know of.

    None of them was made before `since` (aware UTC, whole seconds). `found` are tokens that no
    store held, and that were about to be revoked because of the leak.
    """

    since: datetime
    tokens: tuple[ReplacedToken, ...] = ()
    found: tuple[ReplacedToken, ...] = ()

    def with_found(self, tokens: Iterable[ReplacedToken]) -> "Leak":
        """Return the leak with these among those that were found."""
        found = {each.token_id: each for each in (*self.found, *tokens)}
        return self._replace(found=tuple(found.values())[-_MOST:])


@dataclass(frozen=True, slots=True)
class Journal:
    """What the store knows about the token that it holds, and what is still to be done.

    `token_id` is the token that a rotator wrote last, `previous_token_id` the one that it replaced,
    `minted_at` (aware UTC, whole seconds, the server's) the time of its creation. `intents` are
    mints that are not settled, `pending` the old tokens that are to be revoked, `replaced` others
    that may still be alive, and `hooks` the ids of hooks that have not worked yet.
    `put_back_at` is when an old token was first seen in the place of a newer one; `leak` is there
    where the token was minted because others had leaked. `pushes` are what the mirrors got last.
    `stores` are where else the token was written, and where the old ones may have stayed.
    """

    token_id: str | None = None
    previous_token_id: str | None = None
    minted_at: datetime | None = None
    intents: tuple[Intent, ...] = ()
    pending: tuple[PendingRevocation, ...] = ()
    hooks: tuple[str, ...] = ()
    replaced: tuple[ReplacedToken, ...] = ()
    put_back_at: datetime | None = None
    leak: Leak | None = None
    pushes: tuple[Push, ...] = ()
    stores: tuple[NamedStore, ...] = ()

    @property
    def old_ids(self) -> frozenset[str]:
        """The ids of the tokens that others have replaced."""
        ids = {self.previous_token_id, *(each.token_id for each in self.pending)}
        ids |= {each.token_id for each in self.replaced}
        ids |= {each.token_id for each in (self.leak.tokens if self.leak else ())}
        return frozenset(each for each in ids if each and each != self.token_id)

    def with_intent(self, intent: Intent) -> "Journal":
        """Return a journal with this intent, in the place of an earlier state of the same mint."""
        others = self.without_intents({intent.mint_id}).intents
        return replace(self, intents=(*others, intent)[-_MOST:])

    def without_intents(self, mint_ids: Collection[str]) -> "Journal":
        """Return a journal without the intents of these mints."""
        return replace(self, intents=tuple(i for i in self.intents if i.mint_id not in mint_ids))

    def with_taken_over(self, mint_ids: Collection[str]) -> "Journal":
        """Return a journal in which the intents of these mints are taken over."""
        kept = self.without_intents(mint_ids).intents
        taken = (intent.taken_over() for intent in self.intents if intent.mint_id in mint_ids)
        intents = {intent.mint_id: intent for intent in (*kept, *taken)}
        return replace(self, intents=tuple(intents.values()))

    def to_text(self) -> str:
        """Return the one-line text form, without what is no id; empty for an empty journal."""
        fields = {"token": self.token_id, "previous": self.previous_token_id}
        words = [f"{key}={value}" for key, value in fields.items() if value and is_token_id(value)]
        if self.minted_at:
            words.append(f"minted={_time_text(self.minted_at)}")
        words += [f"intent={intent.to_text()}" for intent in self.intents]
        words += [f"owed={pending.to_text()}" for pending in self.pending]
        words += [
            f"unused={each.disuse.to_text(each.token_id)}" for each in self.pending if each.disuse
        ]
        words += [f"hook={digest}" for digest in self.hooks]
        words += [f"old={replaced.to_text()}" for replaced in self.replaced]
        if self.put_back_at:
            words.append(f"back={_time_text(self.put_back_at)}")
        if self.leak:
            words.append(f"leak={_time_text(self.leak.since)}")
            words += [f"leaked={token.to_text()}" for token in self.leak.tokens]
            words += [f"found={token.to_text()}" for token in self.leak.found]
        words += [f"push={push.to_text()}" for push in self.pushes]
        words += self._name_stores()
        return " ".join([_FORMAT, *words]) if words else ""

    def _name_stores(self) -> Iterator[str]:
        """Yield words for the stores, without those for which there is no room."""
        room = _ROOM
        for store in self.stores:
            word = f"store={store.to_text()}"
            if len(word) < room:
                room -= len(word) + 1
                yield word

    @classmethod
    def from_text(cls, text: str) -> "Journal":
        """Read the text form; leave out what is not understood: anybody can edit a store."""
        first, *words = text.split() or [""]
        if first != _FORMAT or not words:
            return cls()
        parts = [word.partition("=") for word in words]
        pairs = [(key, value) for key, equals, value in parts if equals]
        fields = dict(pairs)
        token_id, previous = fields.get("token"), fields.get("previous")
        intents = [Intent.from_text(value) for key, value in pairs if key == "intent"]
        owed = [PendingRevocation.from_text(value) for key, value in pairs if key == "owed"]
        unused = dict(filter(None, (Disuse.from_text(v) for key, v in pairs if key == "unused")))
        hooks = [value for key, value in pairs if key == "hook" and _DIGEST.fullmatch(value)]
        replaced = [ReplacedToken.from_text(value) for key, value in pairs if key == "old"]
        leaked, found = (
            tuple(filter(None, (ReplacedToken.from_text(v) for k, v in pairs if k == key)))[-_MOST:]
            for key in ("leaked", "found")
        )
        pushes = [Push.from_text(value) for key, value in pairs if key == "push"]
        stores = [NamedStore.from_text(value) for key, value in pairs if key == "store"]
        since = _checked_time(fields.get("leak"))
        return cls(
            token_id=token_id if is_token_id(token_id) else None,
            previous_token_id=previous if is_token_id(previous) else None,
            minted_at=_checked_time(fields.get("minted")),
            intents=tuple(intent for intent in intents if intent)[-_MOST:],
            pending=tuple(e._replace(disuse=unused.get(e.token_id)) for e in owed if e),
            hooks=tuple(dict.fromkeys(hooks)),
            replaced=tuple(each for each in replaced if each)[-_MOST:],
            put_back_at=_checked_time(fields.get("back")),
            leak=Leak(since, leaked, found) if since else None,
            pushes=tuple(each for each in pushes if each)[-_MOST:],
            stores=tuple(each for each in stores if each)[-_MOST:],
        )


def taken_over_id(mint_id: str) -> str:
    """Return the id under which the intent of a dead rotator is taken over."""
    if is_taken_over(mint_id):
        return mint_id
    return _TAKEN_OVER + sha256(mint_id.encode()).hexdigest()[: 12 - len(_TAKEN_OVER)]


def is_taken_over(mint_id: str) -> bool:
    """Tell whether this is the id of an intent that was taken over."""
    return mint_id.startswith(_TAKEN_OVER)


def new_mint_id() -> str:
    """Return the id of a new mint."""
    while is_taken_over(mint_id := os.urandom(6).hex()):
        pass
    return mint_id


@lru_cache(maxsize=64)  # each mint of a run compares with those that it has listed
def scope_digest(scope: str | None) -> str:
    """Return what an intent says of a scope: it may be any text, of any length."""
    return sha256((scope or "").encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _seconds_text(span: timedelta) -> str:
    return str(int(span.total_seconds()))


def _time_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _checked_time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.year in _YEARS else None
