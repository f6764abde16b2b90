"""A schedule leaves a run the time that it needs, and every token a second run."""

import pytest

from tests.helm.chart import TOKENS, Chart

Values = dict[str, object]


def cron(**values: object) -> Values:
    return {"cronJob": values}


@pytest.mark.sample(5)
@pytest.mark.parametrize(
    ("schedule", "minutes"),
    [
        ("* * * * *", 1),
        ("*/15 * * * *", 15),
        ("*/25 * * * *", 10),  # at 0, 25, 50 and again at 0
        ("0,45 * * * *", 15),
        ("17 * * * *", 60),
        ("@hourly", 60),
        ("0 */5 * * *", 240),  # at 20 and 0 o'clock
        ("0 8-18/2 * * Mon-Fri", 120),
        ("50 8-9,10 * * *", 60),
        ("10/20 6 * * *", 20),
        ("5 ? * * *", 60),
        ("30 3 * * *", 1440),
        ("0 0 1 * *", 1440),
        ("@weekly", 1440),
        ("08 09 * * *", 1440),
    ],
)
def test_a_run_must_end_before_the_next_one_begins(
    chart: Chart, schedule: str, minutes: int
) -> None:
    rare = {"defaults": {"renew_before": "300d", "validity": "365d"}}
    longest = 60 * minutes - 1
    if longest >= 60:  # the least that the schema admits
        assert chart.render(
            "kind-cronjob",
            config=rare,
            **cron(schedule=schedule, activeDeadlineSeconds=longest),
        )
    refused = cron(schedule=schedule, activeDeadlineSeconds=longest + 1)
    assert f"the {longest + 1} seconds" in chart.refusal("kind-cronjob", **refused)


@pytest.mark.sample(5)
@pytest.mark.parametrize(
    ("schedule", "renew_before"),
    [
        ("@hourly", "2h"),
        ("17 */6 * * *", "12h"),
        ("0 8,20 * * *", "24h"),
        ("0 9,17 * * *", "32h"),  # 16 hours in the night
        ("@daily", "2d"),
        ("0 8 * * Mon-Fri", "6d"),
        ("0 8,20 * * Mon-Fri", "5d"),  # 60 hours over the weekend
        ("0 8 * * 1,3,5", "6d"),
        ("0 8 ? * sun", "14d"),
        ("@weekly", "14d"),
        ("0 0 */2 * *", "4d"),
        ("0 0 1,15 * *", "34d"),
        ("0 0 1 * Mon", "14d"),  # cron runs on either
        ("@monthly", "62d"),
        ("0 0 1 Jan,Apr,JUL,Oct *", "186d"),
    ],
)
def test_two_runs_at_least_fit_into_the_time_in_which_a_token_is_renewed(
    chart: Chart, schedule: str, renew_before: str
) -> None:
    def values(renew_before: str) -> Values:
        defaults = {"renew_before": "364d", "validity": "365d"}
        tokens = [
            {**TOKENS[0], "name": "sol-bot", "stores": ["kubernetes://bots/sol"]},
            {**TOKENS[0], "renew_before": renew_before},
        ]
        return {"config": {"defaults": defaults, "tokens": tokens}, **cron(schedule=schedule)}

    assert chart.render("kind-cronjob", **values(renew_before))
    number, unit = int(renew_before[:-1]), renew_before[-1]
    shorter = f"{number - 1}{unit}"
    assert (
        f'cronJob.schedule: found "{schedule}", expected two runs at least within the renew_before'
        f' of "luna-bot", which is {shorter}, as the first one may fail'
    ) in chart.refusal("kind-cronjob", **values(shorter))


@pytest.mark.parametrize("schedule", ["0 3 1 1 *", "@yearly", "0 0 31 2 *", "0 3 * * 0"])
def test_a_schedule_that_would_let_tokens_expire_is_refused(chart: Chart, schedule: str) -> None:
    said = chart.refusal("kind-cronjob", **cron(schedule=schedule))
    assert f'cronJob.schedule: found "{schedule}", expected two runs at least within' in said
