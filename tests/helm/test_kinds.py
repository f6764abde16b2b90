"""What each kind is made of."""

import json

import pytest

from rotator import __version__
from tests.helm.chart import CHART, Chart, Object, container
from tests.helm.tools import Tools


def job_of(cron_job: Object) -> Object:
    return dict(cron_job["spec"]["jobTemplate"]["spec"])


def test_a_cron_job_runs_one_at_a_time_and_ends_before_the_next_begins(chart: Chart) -> None:
    spec = chart.render("kind-cronjob").cron_job()["spec"]
    del spec["jobTemplate"]["metadata"]
    job = spec.pop("jobTemplate")["spec"]
    assert spec == {
        "schedule": "17 */6 * * *",
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 3600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
    }
    assert job["activeDeadlineSeconds"] == 1800
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_a_schedule_is_stopped_by_a_value_or_by_a_patch_that_no_upgrade_undoes(
    chart: Chart,
) -> None:
    # A field that Helm 4 has applied conflicts with another's patch of it; one left out does not.
    assert "suspend" not in chart.render("kind-cronjob").cron_job()["spec"]
    stopped = chart.render("kind-cronjob", cronJob={"suspend": True})
    assert stopped.cron_job()["spec"]["suspend"] is True


def test_a_failed_run_is_tried_again_but_not_with_wrong_settings(chart: Chart) -> None:
    job = job_of(chart.render("kind-cronjob").cron_job())
    assert job["backoffLimit"] == 1
    wrong, moved = job["podFailurePolicy"]["rules"]
    assert (wrong["action"], wrong["onExitCodes"]["values"]) == ("FailJob", [2])
    assert wrong["onExitCodes"]["containerName"] == container(job["template"]["spec"])["name"]
    assert (moved["action"], moved["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")


@pytest.mark.parametrize("kind", ["kind-cronjob", "kind-fleet"])
def test_a_forced_run_waits_for_somebody_to_start_it_and_is_never_repeated(
    chart: Chart, kind: str
) -> None:
    manifests = chart.render(kind)
    usual, forced = manifests.cron_job(), manifests.cron_job(forced=True)
    assert forced["metadata"]["name"] == f"{usual['metadata']['name']}-force"
    assert forced["spec"]["suspend"] is True
    job = job_of(forced)
    assert 0 in (job.get("backoffLimit"), job.get("backoffLimitPerIndex"))
    actions = [rule["action"] for rule in job["podFailurePolicy"]["rules"]]
    assert actions in (["FailJob"], ["FailIndex"])
    args = container(job["template"]["spec"])["args"]
    args.remove("--force")
    assert args == container(job_of(usual)["template"]["spec"])["args"]


def test_a_fleet_is_an_indexed_job_in_which_every_pod_has_its_share(chart: Chart) -> None:
    job = job_of(chart.render("kind-fleet").cron_job())
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 3, 3)
    assert "--shard=$(JOB_COMPLETION_INDEX)/3" in container(job["template"]["spec"])["args"]


def test_one_shard_that_fails_leaves_the_others_alone(chart: Chart) -> None:
    job = job_of(chart.render("kind-fleet").cron_job())
    assert "backoffLimit" not in job
    assert job["backoffLimitPerIndex"] == 1
    assert "maxFailedIndexes" not in job
    assert job["podFailurePolicy"]["rules"][0]["action"] == "FailIndex"


def test_a_fleet_may_run_a_few_pods_at_a_time(chart: Chart) -> None:
    job = job_of(chart.render("everything").cron_job())
    assert (job["completions"], job["parallelism"]) == (4, 2)


def test_one_pod_needs_no_shards(chart: Chart) -> None:
    job = job_of(chart.render("kind-cronjob").cron_job())
    assert {"completionMode", "completions", "parallelism"}.isdisjoint(job)
    usual = ["rotate", "--log-format=json", "--json-lines", "--retry-for=600s", "--interval=6h"]
    assert container(job["template"]["spec"])["args"] == usual


def test_a_run_waits_for_an_api_as_long_as_two_tries_fit_into_its_deadline(chart: Chart) -> None:
    cron = {"schedule": "*/30 * * * *", "activeDeadlineSeconds": 900}
    job = job_of(chart.render("kind-cronjob", cronJob=cron).cron_job())
    args = container(job["template"]["spec"])["args"]
    assert {"--retry-for=300s", "--interval=30m"} <= set(args)


def test_a_log_in_text_has_results_in_text(chart: Chart) -> None:
    job = job_of(chart.render("kind-cronjob", logFormat="text").cron_job())
    assert "--json-lines" not in container(job["template"]["spec"])["args"]


def test_a_deployment_is_one_daemon_that_is_never_two(chart: Chart) -> None:
    spec = chart.render("kind-deployment").one("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    daemon = container(spec["template"]["spec"])
    assert daemon["args"] == ["daemon", "--log-format=json", "--listen=0.0.0.0:9464"]
    assert daemon["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert daemon["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert daemon["ports"] == [{"name": "http", "containerPort": 9464, "protocol": "TCP"}]


def test_the_service_leads_to_the_daemon_and_to_no_pod_of_the_tests(chart: Chart) -> None:
    manifests = chart.render("kind-deployment", daemon={"port": 9000})
    service, deployment = manifests.one("Service")["spec"], manifests.one("Deployment")["spec"]
    [port] = service["ports"]
    assert port == {"name": "http", "port": 9000, "targetPort": "http", "protocol": "TCP"}
    selected = service["selector"].items()
    assert selected == deployment["selector"]["matchLabels"].items()
    assert selected <= deployment["template"]["metadata"]["labels"].items()
    for test in manifests.of("Pod"):
        assert not selected <= test["metadata"]["labels"].items()


def test_a_rotation_in_hand_has_the_time_to_end(chart: Chart) -> None:
    for _, pod in chart.render("kind-deployment").pods():
        assert pod["terminationGracePeriodSeconds"] > 120  # rotation_timeout


def test_helm_test_looks_for_what_would_break_a_rotation_before_it_looks_at_the_tokens(
    chart: Chart,
) -> None:
    pods = chart.render("kind-cronjob").of("Pod")
    hooks = [each["metadata"]["annotations"] for each in pods]
    assert {each["helm.sh/hook"] for each in hooks} == {"test"}
    ordered = sorted(
        pods, key=lambda each: int(each["metadata"]["annotations"]["helm.sh/hook-weight"])
    )
    assert [container(each["spec"])["args"] for each in ordered] == [["doctor"], ["check"]]
    assert {each["spec"]["restartPolicy"] for each in pods} == {"Never"}
    # `helm uninstall` leaves hooks: what is left is a pod that failed, to be read.
    kept = {each["helm.sh/hook-delete-policy"] for each in hooks}
    assert kept == {"before-hook-creation,hook-succeeded"}


def test_the_longest_name_leaves_room_for_what_kubernetes_adds(chart: Chart) -> None:
    manifests = chart.render("kind-cronjob", fullnameOverride="n" * 80)
    # https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#writing-a-cronjob-spec
    assert max(len(each["metadata"]["name"]) for each in manifests.of("CronJob")) <= 52
    assert max(len(each["metadata"]["name"]) for each in manifests.of("Pod")) <= 63


def test_the_chart_installs_the_version_of_the_program_beside_it(chart: Chart) -> None:
    pods = chart.render("kind-cronjob").pods()
    assert {container(pod)["image"] for _, pod in pods} == {f"nocturna-rotator:{__version__}"}


def test_a_digest_wins_over_the_tag(chart: Chart) -> None:
    pods = chart.render("everything", image={"tag": "2"}).pods()
    [image] = {container(pod)["image"] for _, pod in pods}
    assert image.startswith("mirror.example.com:5000/nocturna-rotator@sha256:")


@pytest.mark.parametrize(
    ("repository", "pulled"),
    [
        ("nocturna-rotator", "mirror.example.com/nocturna-rotator:2"),
        ("bots/nocturna-rotator", "mirror.example.com/bots/nocturna-rotator:2"),
        ("registry.example.com/bots/rotator", "mirror.example.com/bots/rotator:2"),
        ("localhost/rotator", "mirror.example.com/rotator:2"),
        ("registry:5000/rotator", "mirror.example.com/rotator:2"),
    ],
)
def test_one_registry_for_all_charts_takes_the_place_of_that_in_the_repository(
    chart: Chart, repository: str, pulled: str
) -> None:
    pods = chart.render(
        "kind-deployment",
        **{"global": {"imageRegistry": "mirror.example.com/", "storageClass": "of a parent"}},
        image={"repository": repository, "tag": "2"},
    ).pods()
    assert {container(pod)["image"] for _, pod in pods} == {pulled}


def test_a_leaked_token_is_replaced_as_the_page_says(chart: Chart, tools: Tools) -> None:
    page = (CHART.parents[1] / "docs" / "kubernetes.md").read_text()
    patch = page.partition("--type=json")[2].partition("--patch '")[2].partition("'")[0]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "luna-now"},
        "spec": job_of(chart.render("kind-cronjob").cron_job()),
    }
    written = tools.home / "job.json"
    written.write_text(json.dumps(job))
    local = ("patch", "--local", f"--filename={written}", "--type=json", f"--patch={patch}")
    done = tools.kubectl(*local, "--output=json")
    assert done.status == 0, done.err
    args = container(json.loads(done.out)["spec"]["template"]["spec"])["args"]
    assert args == ["leaked", "luna-bot", "--yes", "--json"]
