"""What a run takes over from the runs before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from rotator.metrics.definitions import NONE, PREFIX, SECONDS_LEFT, Samples, Series, measure
from rotator.metrics.exposition import (
    Exposition,
    drop_nan,
    merge,
    parse_samples,
    render,
    select_lasting,
)
from rotator.rotation.model import Action
from tests.metrics.support import LAST_MONTH, every_metric, failed, look, token_states, unknown
from tests.support.clock import NOON

SUCCESS = Series(f"{PREFIX}last_success_timestamp_seconds", "luna")
EXPIRY = Series(f"{PREFIX}token_expiry_timestamp_seconds", "luna")
ATTEMPTS = Series(f"{PREFIX}attempts_left", "luna")
FAULTS = Series(f"{PREFIX}failures", "luna", "api-fault")


def text(samples: Samples) -> str:
    return generate_latest(Exposition(drop_nan(samples))).decode()


def test_what_is_written_is_read_again() -> None:
    samples = select_lasting(measure(every_metric(), NOON))
    assert parse_samples(text(samples)) == drop_nan(samples)
    assert not any(series.metric == SECONDS_LEFT for series in samples)


def test_the_page_of_a_daemon_is_read_but_for_what_stands_still_in_it() -> None:
    samples = measure(every_metric(), NOON)
    _, body = render(every_metric(), NOON, "", reload_failed=False)
    assert parse_samples(body.decode()) == drop_nan(select_lasting(samples))


def test_counters_are_added_up() -> None:
    now = measure(token_states(failed()), NOON)
    assert merge(now, {FAULTS: 4.0}, ["luna"])[FAULTS] == 5
    assert (
        merge(measure(token_states(look(Action.KEPT)), NOON), {FAULTS: 4.0}, ["luna"])[FAULTS] == 4
    )


def test_a_failure_keeps_the_last_success_and_a_success_replaces_it() -> None:
    before = {SUCCESS: LAST_MONTH.timestamp()}
    assert (
        merge(measure(token_states(failed()), NOON), before, ["luna"])[SUCCESS] == before[SUCCESS]
    )
    after = merge(measure(token_states(look(Action.KEPT)), NOON), before, ["luna"])
    assert after[SUCCESS] == NOON.timestamp()


def test_the_end_of_a_token_is_kept_while_no_store_can_be_read() -> None:
    before = {EXPIRY: 1.0}
    assert merge(measure(token_states(unknown()), NOON), before, ["luna"])[EXPIRY] == 1
    eternal = measure(token_states(look(Action.KEPT, expires_at=None)), NOON)
    assert EXPIRY not in drop_nan(merge(eternal, before, ["luna"]))


def test_attempts_are_counted_only_while_they_fail() -> None:
    now = measure(token_states(look(Action.KEPT)), NOON)
    assert ATTEMPTS not in drop_nan(merge(now, {ATTEMPTS: 2.0}, ["luna"]))


def test_tokens_that_this_run_did_not_serve_are_kept_as_long_as_they_are_configured() -> None:
    before = measure(
        token_states(look(Action.KEPT, name="sol"), look(Action.KEPT, name="old")), NOON
    )
    after = merge(measure(token_states(look(Action.KEPT)), NOON), before, ["luna", "sol"])
    assert {series.token for series in after} == {"luna", "sol"}
    assert {s: v for s, v in drop_nan(after).items() if s.token == "sol"} == {
        s: v for s, v in drop_nan(before).items() if s.token == "sol"
    }


@pytest.mark.parametrize(
    "line",
    [
        'nocturna_rotator_failing{token="luna",more="x"} 1',
        "nocturna_rotator_failing 1",
        'nocturna_rotator_other{token="luna"} 1',
        'nocturna_rotator_token_seconds_left{token="luna"} 1',
        'nocturna_rotator_failing{token="luna"} NaN',
        '# TYPE nocturna_rotator_failures counter\nnocturna_rotator_failures_total{token="luna"} 1',
    ],
)
def test_what_is_no_metric_of_ours_is_not_taken(line: str) -> None:
    assert parse_samples(f"{line}\n") == {}


@given(st.text() | st.binary().map(lambda found: found.decode(errors="replace")))
def test_garbage_is_read_as_nothing_or_refused(found: str) -> None:
    try:
        assert parse_samples(found) == {}
    except ValueError:
        return


@given(st.data())
def test_a_damaged_file_never_breaks_a_run(data: st.DataObject) -> None:
    whole = text(measure(every_metric(), NOON))
    start = data.draw(st.integers(0, len(whole)))
    damage = data.draw(st.text(max_size=5) | st.sampled_from(['"', "{", "} ", "\n#", "\\"]))
    try:
        parse_samples(whole[:start] + damage + whole[start + data.draw(st.integers(0, 50)) :])
    except ValueError:
        return


def test_no_number_is_not_a_number() -> None:
    assert drop_nan({ATTEMPTS: NONE, FAULTS: 0.0}) == {FAULTS: 0.0}
