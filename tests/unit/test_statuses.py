import pytest

from rotator.cli import exit_codes
from rotator.cli.rotate import exit_code_of
from rotator.rotation.model import Action
from rotator.rotation.policy import Status
from rotator.rotation.report import LAGGARD, Report


def report(status: Status, action: Action | None = None, error: str | None = None) -> Report:
    return Report("luna-bot", status, "reason", "message", action, error=error)


@pytest.mark.parametrize(
    ("status", "exit_status"),
    [
        (Status.OK, 0),
        (Status.ETERNAL, 0),
        (Status.DUE, 1),
        (Status.EXPIRED, 2),
        (Status.MISSING, 2),
        (Status.INVALID, 2),
        (Status.REFUSED, 2),
        (Status.UNKNOWN, 3),
    ],
)
def test_a_check_exits_as_a_monitoring_plugin(status: Status, exit_status: int) -> None:
    assert exit_codes.check_exit_code([report(status)]) == exit_status


def test_an_old_token_in_use_that_is_soon_revoked_is_told_as_one_that_is_due() -> None:
    soon = report(Status.OK)._replace(error="soon", failure=LAGGARD)
    assert exit_codes.check_exit_code([soon]) == 1
    assert exit_codes.check_exit_code([soon._replace(status=Status.EXPIRED)]) == 2


def test_every_status_has_an_exit_status() -> None:
    assert {exit_codes.check_exit_code([report(status)]) for status in Status} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("reports", "exit_status"),
    [
        ([], 0),
        ([report(Status.OK), report(Status.DUE)], 1),
        ([report(Status.DUE), report(Status.UNKNOWN)], 3),
        ([report(Status.UNKNOWN), report(Status.EXPIRED), report(Status.DUE)], 2),
        ([report(Status.OK, error="one store did not answer")], 3),
        ([report(Status.EXPIRED, error="one store did not answer")], 2),
    ],
    ids=["none", "one due", "one unknown", "one expired", "ok but", "expired and"],
)
def test_a_check_of_many_exits_with_the_worst(reports: list[Report], exit_status: int) -> None:
    assert exit_codes.check_exit_code(reports) == exit_status


ROTATED = report(Status.OK, Action.ROTATED)


@pytest.mark.parametrize(
    ("reports", "plain", "detailed"),
    [
        pytest.param([], 0, 0, id="nothing to do"),
        pytest.param([report(Status.OK, Action.KEPT)], 0, 0, id="kept"),
        pytest.param([ROTATED], 0, 3, id="rotated"),
        pytest.param([report(Status.OK, Action.CONVERGED)], 0, 3, id="converged"),
        pytest.param([report(Status.DUE, Action.WOULD_ROTATE)], 0, 3, id="would rotate"),
        pytest.param([report(Status.DUE, Action.WOULD_CONVERGE)], 0, 3, id="would converge"),
        pytest.param([report(Status.DUE, Action.SKIPPED)], 0, 0, id="skipped, and it works"),
        pytest.param([report(Status.DUE, Action.FAILED)], 1, 1, id="failed"),
        pytest.param([report(Status.OK, Action.ROTATED, "b://: denied")], 1, 1, id="one behind"),
        pytest.param([ROTATED, report(Status.UNKNOWN, Action.FAILED)], 1, 1, id="one of two"),
    ],
)
def test_a_rotation_exits_with_1_only_for_a_failure(
    reports: list[Report], plain: int, detailed: int
) -> None:
    assert exit_code_of(reports, detailed=False) == plain
    assert exit_code_of(reports, detailed=True) == detailed
