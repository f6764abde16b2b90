"""Metrics: pushed by CronJobs, scraped from the daemon, with alerts and a dashboard."""

import json

import yaml

from tests.helm.chart import CHART, Chart, container


def test_a_cron_job_pushes_what_it_did(chart: Chart) -> None:
    pod = chart.render("everything").cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert "--metrics-push=http://pushgateway.monitoring:9091" in container(pod)["args"]


def test_prometheus_finds_the_daemon_by_its_service(chart: Chart) -> None:
    metrics = {"serviceMonitor": {"enabled": True, "interval": "2m", "labels": {"release": "p"}}}
    manifests = chart.render("kind-deployment", metrics=metrics)
    monitor, service = manifests.one("ServiceMonitor"), manifests.one("Service")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["metadata"]["labels"]["release"] == "p"
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "2m"}
    assert endpoint["port"] in [each["name"] for each in service["spec"]["ports"]]
    selected = monitor["spec"]["selector"]["matchLabels"].items()
    assert selected <= service["metadata"]["labels"].items()


def test_the_alerts_are_those_of_the_file(chart: Chart) -> None:
    given = {"enabled": True, "labels": {"release": "p"}, "annotations": {"team": "bots"}}
    rule = chart.render("kind-cronjob", metrics={"prometheusRule": given}).one("PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "p"
    assert rule["metadata"]["annotations"] == {"team": "bots"}
    assert rule["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())


def test_alerts_may_have_more_labels_which_change_none_of_their_own(chart: Chart) -> None:
    more = {"team": "bots", "severity": "page"}
    metrics = {"prometheusRule": {"enabled": True, "ruleLabels": more}}
    [group] = chart.render("kind-cronjob", metrics=metrics).one("PrometheusRule")["spec"]["groups"]
    assert {each["labels"]["team"] for each in group["rules"]} == {"bots"}
    assert {each["labels"]["severity"] for each in group["rules"]} == {"warning", "critical"}


def test_the_scrape_is_described_as_the_operator_wants_it(chart: Chart) -> None:
    rename = [{"sourceLabels": ["pod"], "targetLabel": "instance"}]
    drop = [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}]
    given = {"relabelings": rename, "metricRelabelings": drop, "scrapeTimeout": "20s"}
    monitor = {"enabled": True, "annotations": {"example.com/team": "bots"}, **given}
    made = chart.render("kind-deployment", metrics={"serviceMonitor": monitor})
    [endpoint] = made.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint.items() >= given.items()
    assert made.one("ServiceMonitor")["metadata"]["annotations"] == {"example.com/team": "bots"}


def test_the_dashboard_is_that_of_the_file(chart: Chart) -> None:
    maps = chart.render("everything").of("ConfigMap")
    [found] = [each for each in maps if "grafana_dashboard" in str(each["metadata"])]
    assert found["metadata"]["annotations"]["grafana_folder"] == "Bots"
    [text] = found["data"].values()
    assert json.loads(text) == json.loads((CHART / "files" / "dashboard.json").read_text())


def test_none_of_it_is_there_unless_it_is_asked_for(chart: Chart) -> None:
    for kind in ("kind-cronjob", "kind-deployment"):
        manifests = chart.render(kind)
        assert not [*manifests.of("ServiceMonitor"), *manifests.of("PrometheusRule")]
        assert len(manifests.of("ConfigMap")) == 1
        assert "--metrics-push" not in str(manifests.objects)
