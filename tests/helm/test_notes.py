"""What helm prints after the installation."""

from tests.helm.chart import TOKENS, Chart


def test_the_notes_say_what_will_happen_and_when(chart: Chart) -> None:
    notes = chart.notes("kind-fleet", "store-kubernetes")
    for said in (
        "rotator keeps 2 service tokens alive: luna-bot, sol-bot.",
        'at "17 */6 * * *" in Etc/UTC, each run for 1800 seconds at most',
        "3 pods",
        "less than 7d left",
        "kubectl --namespace ops create job --from=cronjob/rotator rotator-now",
        "kubectl --namespace ops create job --from=cronjob/rotator-force rotator-forced",
        "helm test rotator --namespace ops",
        "The Secret nocturna-admin in ops must hold the admin's password and email.",
        "may create any Secret in the namespace bots",
    ):
        assert said in notes


def test_the_notes_of_a_daemon_name_its_page(chart: Chart) -> None:
    notes = chart.notes("kind-deployment")
    assert "rotator keeps 1 service token alive: luna-bot." in notes
    assert "exec deploy/rotator -- rotator rotate --force luna-bot" in notes
    assert "port-forward service/rotator 9464" in notes
    assert "may create any Secret" not in notes


def test_the_notes_count_a_long_fleet(chart: Chart) -> None:
    tokens = [{**TOKENS[0], "name": f"bot-{number:02}"} for number in range(1, 201)]
    config = {"api": {"url": "https://api.example.com/api"}, "tokens": tokens}
    notes = chart.notes("kind-cronjob", config=config)
    assert "200 service tokens alive: bot-01," in notes
    assert "bot-12 and 188 more." in notes
