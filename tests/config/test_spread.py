"""Renewals that are spread: earlier, never later, and always by the same share."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rotator.config.settings import TokenSettings, spread_out
from tests.config.support import load

NAMES = [f"bot-{number}" for number in range(200)]
TWO = """
[defaults]
spread = "10%"
[[token]]
name = "luna"
stores = ["dotenv:luna.env"]
[[token]]
name = "sol"
stores = ["dotenv:sol.env"]
spread = "0%"
"""


def token(name: str = "luna", **settings: object) -> TokenSettings:
    return TokenSettings(name, "here", ())._replace(**settings)  # type: ignore[arg-type] # fields


def test_each_token_has_a_share_of_its_own(tmp_path: Path) -> None:
    luna, sol = load(tmp_path, TWO).tokens
    week = timedelta(days=7)
    assert sol.renew_before == week
    assert week < luna.renew_before <= week + timedelta(days=9)
    assert load(tmp_path, TWO).tokens == (luna, sol)


def test_the_shares_of_many_fill_the_whole_span() -> None:
    margins = sorted(spread_out(token(name, spread=0.1)).renew_before for name in NAMES)
    gaps = [later - earlier for earlier, later in pairwise(margins)]
    assert margins[0] < timedelta(days=7.5)
    assert margins[-1] > timedelta(days=15.5)
    assert max(gaps) < timedelta(days=1)


@given(
    st.text(max_size=5),
    st.floats(0, 0.1),
    st.timedeltas(timedelta(1), timedelta(365)),
    st.floats(0, 1),
)
def test_a_renewal_is_never_later_and_a_new_token_never_due(
    name: str, spread: float, validity: timedelta, part: float
) -> None:
    before = token(name, spread=spread, validity=validity, renew_before=validity * part * 0.99)
    after = spread_out(before)
    assert before.renew_before <= after.renew_before < validity
    assert after._replace(renew_before=before.renew_before) == before
