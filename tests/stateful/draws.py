"""What may come over a run, as hypothesis draws it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from rotator.rotation.policy import RotateOptions
from tests.stateful.hands import Edit
from tests.stateful.scene import Scene
from tests.stateful.stores import Trouble
from tests.support.sandbox import Fault

CALLS = (
    "POST /auth/admin/service-tokens",
    "POST /auth/service-token/refresh",
    "DELETE /auth/admin/service-tokens/{id}",
    "GET /auth/admin/service-tokens",
    "POST /auth/login",
    "POST /auth/refresh",
    "GET /auth/admin/verify",
    None,
)
FAULTS = {
    "reset before": Fault.reset_before(),
    "reset after": Fault.reset_after(),
    "500 with a token": Fault.server_error(),
    "500 without work": Fault.server_error(work=False),
    "truncated": Fault.truncated(),
    "429": Fault.too_many(),
    "502": Fault.html(),
    "401": Fault.status(401),
    "403": Fault.status(403),
    "404 of a proxy": Fault.html(404),
}


class Flaw(NamedTuple):
    """A fault of the API, by its name; `late` is a mint that outlives its client (seconds)."""

    call: str | None
    fault: str
    times: int | None
    late: int | None = None


@dataclass(frozen=True)
class Weather:
    """An order, and all that may come over the run; `meanwhile` is a deed at one of its moments."""

    order: RotateOptions
    dies_at: int | None = None
    skew: timedelta = timedelta()
    troubles: Mapping[int, Trouble] = field(default_factory=dict)
    flaws: Sequence[Flaw] = ()
    meanwhile: tuple[int, Edit] | None = None

    def come_over(self, scene: Scene) -> None:
        for flaw in self.flaws:
            if flaw.late is None:
                scene.wire.faults.put(FAULTS[flaw.fault], flaw.call, flaw.times)
            else:
                scene.wire.late.append(timedelta(seconds=flaw.late))


_PLACES = st.integers(0, 3)
_LINES = st.sampled_from(["X=1", "# a remark", "Y='1\n2'", ""])
_NONSENSE = st.sampled_from(["changeme", "eyJhbGciOiJub25lIn0.e30.x", "x y"])
_HARMLESS_EDITS = st.one_of(
    st.builds(Edit, st.just("issue"), _PLACES, st.sampled_from([1, 80, 200])),
    st.builds(Edit, st.just("add"), _PLACES, st.just(0), _LINES),
)
EDITS = st.one_of(
    _HARMLESS_EDITS,
    st.builds(Edit, st.just("restore"), _PLACES, st.integers(0, 20)),
    st.builds(Edit, st.just("copy"), _PLACES, _PLACES),
    st.builds(Edit, st.just("spoil"), _PLACES, st.just(0), _NONSENSE),
    st.builds(Edit, st.sampled_from(["delete", "delete all", "revoke"]), _PLACES),
)

_ORDERS = st.builds(
    RotateOptions,
    force=st.sampled_from([False, True, True]),
    revoke_old=st.sampled_from([False] * 4 + [True]),
)
_DEATHS = st.integers(1, 130)
_SKEWS = st.sampled_from([3, -3, 20, -20, 60]).map(lambda hours: timedelta(hours=hours))
_TROUBLES = st.dictionaries(
    st.integers(0, 3),
    st.one_of(
        st.just(Trouble("down", 1, 1000)),
        st.builds(
            Trouble,
            st.sampled_from(["down", "full", "lost", "conflict"]),
            st.integers(1, 12),
            st.sampled_from([1, 2, 1000]),
        ),
    ),
    min_size=1,
    max_size=2,
)
_FLAWS = st.builds(
    Flaw,
    st.sampled_from(CALLS),
    st.sampled_from(list(FAULTS)),
    st.sampled_from([1, 3, 4, None]),
    st.none(),
)
_LATE = st.builds(Flaw, st.just(CALLS[0]), st.just(""), st.just(1), st.sampled_from([1, 50, 110]))
_MANY_FLAWS = st.lists(st.one_of(_FLAWS, _LATE), min_size=1, max_size=2)
_MEANWHILE = st.tuples(st.integers(1, 100), _HARMLESS_EDITS)
# Mostly one thing at a time: of two, the first often keeps the second from mattering.
WEATHERS = st.one_of(
    st.builds(Weather, _ORDERS),
    st.builds(Weather, _ORDERS, dies_at=_DEATHS),
    st.builds(Weather, _ORDERS, skew=_SKEWS),
    st.builds(Weather, _ORDERS, troubles=_TROUBLES),
    st.builds(Weather, _ORDERS, flaws=_MANY_FLAWS),
    st.builds(Weather, _ORDERS, meanwhile=_MEANWHILE),
    st.builds(
        Weather, _ORDERS, dies_at=_DEATHS, skew=_SKEWS, troubles=_TROUBLES, flaws=_MANY_FLAWS
    ),
)
TURNS = st.lists(st.integers(1, 60), max_size=12)
SPANS = st.sampled_from([-20, 1, 30, 100, 200, 3700, 90000, 3 * 86400, 84 * 86400, 95 * 86400])
