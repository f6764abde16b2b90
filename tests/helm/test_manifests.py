"""What is true of all kinds with all stores."""

import itertools
from importlib import import_module
from pathlib import Path

import pytest

from rotator.config.loader import load_settings
from tests.helm.chart import CASES, CHART, STORES, Chart, Object, container, pod_template, variables
from tests.helm.schemas import VERSIONS, faults
from tests.helm.tools import Tools

CUSTOM = ("ServiceMonitor", "PrometheusRule")  # of the Prometheus operator: not Kubernetes' own
each_case = pytest.mark.parametrize("files", CASES, ids=" + ".join)
ADMIN = ("NOCTURNA_ADMIN_EMAIL_FILE", "NOCTURNA_ADMIN_PASSWORD_FILE")


@pytest.mark.sample(4)
@each_case
def test_the_last_four_versions_of_kubernetes_take_it(chart: Chart, files: tuple[str, ...]) -> None:
    made = [each for each in chart.render(*files).objects if each["kind"] not in CUSTOM]
    assert len(VERSIONS) == 4
    wrong = [faults(each, version) for each, version in itertools.product(made, VERSIONS)]
    assert wrong == [[]] * (len(made) * 4)


def test_a_manifest_with_an_unknown_key_would_be_noticed(chart: Chart) -> None:
    job = chart.render("kind-fleet").cron_job()
    job["spec"]["jobTemplate"]["spec"]["shards"] = 3
    [fault] = faults(job, VERSIONS[-1])
    assert "shards" in fault


@each_case
def test_the_pods_keep_to_the_restricted_profile(chart: Chart, files: tuple[str, ...]) -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    for _, pod in chart.render(*files).pods():
        everybody = pod["securityContext"]
        assert everybody["runAsNonRoot"] is True
        assert everybody["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(everybody.get(key, 1) > 0 for key in ("runAsUser", "runAsGroup", "fsGroup"))
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"hostNetwork", "hostPID", "hostIPC", "hostUsers"}.isdisjoint(pod)
        kinds = {key for volume in pod["volumes"] for key in volume} - {"name"}
        allowed = {"configMap", "secret", "csi", "emptyDir", "persistentVolumeClaim", "projected"}
        assert kinds <= allowed


@each_case
def test_the_rotator_loads_the_config(chart: Chart, files: tuple[str, ...], tmp_path: Path) -> None:
    manifests = chart.render(*files)
    (tmp_path / "rotator.toml").write_text(manifests.toml)
    for _, pod in manifests.pods():
        given = {name: each for name, each in variables(pod).items() if name in ADMIN}
        settings = load_settings(tmp_path / "rotator.toml", given, Path("/"))
        api = settings.apis[0]
        assert api.url
        assert api.admin_email
        assert api.admin_password
        assert settings.tokens


@each_case
def test_the_rotator_takes_the_arguments(chart: Chart, files: tuple[str, ...]) -> None:
    manifests = chart.render(*files)
    jobs = [each["spec"]["jobTemplate"]["spec"] for each in manifests.of("CronJob")]
    indexes = {str(index) for job in jobs for index in range(job.get("completions", 1))} or {"0"}
    commands = []
    for (_, pod), index in itertools.product(manifests.pods(), sorted(indexes)):
        # As the kubelet expands them.
        command, *options = (
            each.replace("$(JOB_COMPLETION_INDEX)", index) for each in container(pod)["args"]
        )
        parser = import_module(f"rotator.cli.{command}").command
        assert parser.make_context(command, options)
        commands.append(command)
    expected = {"daemon"} if manifests.of("Deployment") else {"rotate"}
    assert set(commands) == expected | {"check", "doctor"}


@each_case
def test_what_is_mounted_is_there_once(chart: Chart, files: tuple[str, ...]) -> None:
    for name, pod in chart.render(*files).pods():
        mounts = container(pod)["volumeMounts"]
        volumes = [each["name"] for each in pod["volumes"]]
        assert sorted(volumes) == sorted({each["name"] for each in mounts}), name
        assert len({each["mountPath"] for each in mounts}) == len(mounts) == len(volumes), name


@each_case
def test_the_service_account_s_token_is_there_for_kubernetes_alone(
    chart: Chart, files: tuple[str, ...]
) -> None:
    manifests = chart.render(*files)
    needed = bool(manifests.of("Role"))
    assert needed is not any(f"store-{name}" in files for name in STORES if name != "kubernetes")
    assert {pod["automountServiceAccountToken"] for _, pod in manifests.pods()} == {needed}
    assert manifests.one("ServiceAccount")["automountServiceAccountToken"] is False


@pytest.mark.sample(5)
@each_case
def test_another_config_makes_other_pods(chart: Chart, files: tuple[str, ...]) -> None:
    def sums(*more: Object) -> set[str]:
        config = more[0] if more else {}
        templates = map(pod_template, chart.render(*files, config=config).objects)
        return {each["metadata"]["annotations"]["checksum/config"] for each in templates if each}

    before, after = sums(), sums({"defaults": {"retire": "2d"}})
    assert len(before) == len(after) == 1
    assert before != after


def test_lint_has_nothing_to_say(tools: Tools) -> None:
    values = [f"--values={path}" for path in sorted((CHART / "ci").glob("*.yaml"))]
    for given in ([], *([each] for each in values)):
        done = tools.helm("lint", "--strict", "--quiet", CHART, *given)
        assert (done.status, done.out) == (0, ""), given
