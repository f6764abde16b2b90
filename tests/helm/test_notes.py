"""What helm prints after the installation."""

from tests.helm.chart import CHART, Chart


def test_the_notes_say_what_will_happen_and_when(chart: Chart) -> None:
    notes = chart.notes("kind-fleet", "store-kubernetes")
    for said in (
        "rotator keeps 2 service tokens alive: luna-bot, sol-bot.",
        'at "17 */6 * * *" in Etc/UTC, each run for 1800 seconds at most',
        "3 pods",
        "less than 7d left",
        'kubectl --namespace ops create job --from=cronjob/rotator "rotator-$(date +%s)"',
        'kubectl --namespace ops create job --from=cronjob/rotator-force "rotator-$(date +%s)"',
        "kubectl --namespace ops logs job/NAME --all-pods --prefix",
        "helm test rotator --namespace ops",
        "helm uninstall rotator --namespace ops",
        "The Secret nocturna-admin in ops must hold the admin's password and email.",
        "may create any Secret in the namespace bots",
    ):
        assert said in notes


def test_the_notes_of_a_daemon_name_its_page(chart: Chart) -> None:
    notes = chart.notes("kind-deployment")
    assert "rotator keeps 1 service token alive: luna-bot." in notes
    assert "exec deploy/rotator -- rotator rotate --force luna-bot" in notes
    assert "After a leak: rotator leaked luna-bot --yes" in notes
    assert "port-forward service/rotator 9464" in notes
    assert "may create any Secret" not in notes


def test_the_notes_say_who_can_read_the_page_unless_that_is_restricted(chart: Chart) -> None:
    told = "Any pod in the cluster can read the status page"
    notes = chart.notes("kind-deployment")
    assert f"{told} and /metrics, which hold names and no token:" in notes
    assert "networkPolicy.from is empty. Name Prometheus there to keep out the others." in notes
    off = chart.notes("kind-deployment", networkPolicy={"enabled": False})
    assert "networkPolicy.enabled is false. Set it, and name Prometheus in" in off
    peers = {"from": [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]}
    assert told not in chart.notes("kind-deployment", networkPolicy=peers)
    assert told not in chart.notes("kind-cronjob")


def test_the_notes_name_stores_that_need_a_backend_of_the_user_s_own(chart: Chart) -> None:
    tokens = [{"name": "luna-bot", "stores": ["k8s://bots/luna", "dotenv:///srv/luna/.env"]}]
    config = {"api": {"url": "https://api.example.com/api"}, "tokens": tokens}
    told = (
        "The rotator itself has no k8s stores: each run is refused unless the image has a backend"
    )
    assert told in chart.notes("store-dotenv", config=config)
    assert "The rotator itself has no" not in chart.notes("everything")


def test_the_notes_count_a_long_fleet(chart: Chart) -> None:
    names = [f"bot-{number:02}" for number in range(1, 201)]
    tokens = [{"name": name, "stores": [f"kubernetes://bots/{name}"]} for name in names]
    config = {"api": {"url": "https://api.example.com/api"}, "tokens": tokens}
    notes = chart.notes("kind-cronjob", config=config)
    assert "200 service tokens alive: bot-01," in notes
    assert "bot-12 and 188 more." in notes


def test_what_an_uninstallation_leaves_is_what_the_notes_and_the_page_name(chart: Chart) -> None:
    notes = chart.notes("kind-cronjob")
    page = (CHART.parents[1] / "docs" / "kubernetes.md").read_text()
    hooks = [
        each
        for each in chart.render("kind-cronjob").objects
        if "helm.sh/hook" in each["metadata"].get("annotations", {})
    ]
    # All else is removed by Helm.
    assert {each["kind"] for each in hooks} == {"Pod"}
    for each in hooks:
        labels = each["metadata"]["labels"]
        names = ("app.kubernetes.io/instance", "app.kubernetes.io/component")
        selector = ",".join(f"{name}={labels[name]}" for name in names)
        assert f"kubectl --namespace ops delete pod --selector {selector}\n" in f"{notes}\n"
        assert f"delete pod --selector {selector.partition(',')[2]}`" in page
