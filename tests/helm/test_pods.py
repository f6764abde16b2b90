"""What is in the pods: the admin's credentials as files, and what else is asked for."""

from typing import Any

import pytest

from tests.helm.chart import Chart, Object, container, pod_template, variables
from tests.helm.schemas import VERSIONS, faults

FILES = "/run/secrets/nocturna"


def pod_of(chart: Chart, *files: str, **values: object) -> Object:
    pods = [pod for _, pod in chart.render(*files, **values).pods()]
    return pods[0]


def volume(pod: Object, name: str) -> Any:  # noqa: ANN401 - YAML
    return next((each for each in pod["volumes"] if each["name"] == name), None)


def test_the_admin_s_credentials_are_two_files_of_a_secret_and_nothing_else_of_it(
    chart: Chart,
) -> None:
    admin = {"existingSecret": "nocturna-admin", "emailKey": "user", "passwordKey": "pass"}
    for _, pod in chart.render("kind-cronjob", admin=admin).pods():
        assert volume(pod, "admin")["secret"] == {
            "secretName": "nocturna-admin",
            "defaultMode": 0o440,
            "items": [{"key": key, "path": key} for key in ("pass", "user")],
        }
        assert variables(pod)["NOCTURNA_ADMIN_EMAIL_FILE"] == f"{FILES}/user"
        assert variables(pod)["NOCTURNA_ADMIN_PASSWORD_FILE"] == f"{FILES}/pass"
        [mount] = [each for each in container(pod)["volumeMounts"] if each["name"] == "admin"]
        assert (mount["mountPath"], mount["readOnly"]) == (FILES, True)


def test_an_e_mail_in_the_config_is_not_looked_for_in_the_secret(chart: Chart) -> None:
    pod = pod_of(chart, "kind-cronjob", config={"api": {"admin_email": "admin@example.com"}})
    assert "NOCTURNA_ADMIN_EMAIL_FILE" not in variables(pod)
    assert [each["key"] for each in volume(pod, "admin")["secret"]["items"]] == ["password"]


def test_the_credentials_may_come_from_a_csi_volume(chart: Chart) -> None:
    pod = pod_of(chart, "everything")
    csi = volume(pod, "admin")["csi"]
    assert (csi["driver"], csi["readOnly"]) == ("secrets-store.csi.k8s.io", True)
    assert variables(pod)["NOCTURNA_ADMIN_PASSWORD_FILE"] == f"{FILES}/admin-password"


def test_a_password_in_a_store_needs_no_volume(chart: Chart) -> None:
    pod = pod_of(chart, "kind-cronjob", "store-vault")
    assert volume(pod, "admin") is None
    assert not [name for name in variables(pod) if name.startswith("NOCTURNA_")]


def test_a_password_may_be_a_file_of_an_injector(chart: Chart) -> None:
    api = {"admin_email": "a@example.com", "admin_password_file": "/vault/secrets/password"}
    pod = pod_of(chart, "kind-cronjob", config={"api": api}, admin={"existingSecret": ""})
    assert volume(pod, "admin") is None


def test_what_is_written_at_run_time_stays_in_memory(chart: Chart) -> None:
    pod = pod_of(chart, "kind-cronjob")
    assert volume(pod, "tmp")["emptyDir"]["medium"] == "Memory"
    [mount] = [each for each in container(pod)["volumeMounts"] if not each.get("readOnly")]
    assert mount["mountPath"] == "/tmp"  # noqa: S108 - in the pod, where it is HOME


def test_a_volume_of_env_files_can_be_written_by_the_bot_s_user(chart: Chart) -> None:
    pod = pod_of(chart, "kind-cronjob", "store-dotenv")
    assert volume(pod, "luna")["persistentVolumeClaim"] == {"claimName": "luna-env"}
    ids = {key: pod["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")}
    assert set(ids.values()) == {1000}


def test_openshift_may_choose_the_ids(chart: Chart) -> None:
    pod = pod_of(chart, "everything")
    assert set(pod["securityContext"]) == {"runAsNonRoot", "seccompProfile"}


def test_services_give_the_pod_no_variables(chart: Chart) -> None:
    assert {pod["enableServiceLinks"] for _, pod in chart.render("kind-cronjob").pods()} == {False}


def test_whatever_a_cluster_asks_of_its_pods_can_be_said(chart: Chart) -> None:
    manifests = chart.render("everything")
    template = manifests.cron_job()["spec"]["jobTemplate"]["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "bots"
    assert template["metadata"]["annotations"]["example.com/team"] == "bots"
    for name, pod in manifests.pods():
        assert pod["imagePullSecrets"] == [{"name": "registry"}], name
        assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
        assert pod["tolerations"] == [{"key": "bots", "operator": "Exists"}]
        assert "nodeAffinity" in pod["affinity"]
        assert pod["priorityClassName"] == "low"
        assert pod["terminationGracePeriodSeconds"] == 240
        only = container(pod)
        assert only["imagePullPolicy"] == "Always"
        assert only["envFrom"] == [{"secretRef": {"name": "vault-approle"}}]
        assert only["resources"]["limits"] == {"memory": "512Mi"}
        assert {"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"} in only["env"]
        assert pod["runtimeClassName"] == "gvisor"
        assert pod["hostAliases"] == [{"ip": "10.0.0.7", "hostnames": ["api.nocturna.internal"]}]
        assert (pod["dnsPolicy"], pod["dnsConfig"]) == ("None", {"nameservers": ["10.0.0.10"]})
        assert pod["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"
        assert [each["name"] for each in pod["initContainers"]] == ["fetch"]


@pytest.mark.parametrize("kind", ["configMap", "secret"])
def test_a_private_ca_is_one_value(chart: Chart, kind: str) -> None:
    for _, pod in chart.render("kind-deployment", ca={kind: "company", "key": "ca.pem"}).pods():
        name = {"configMap": "name", "secret": "secretName"}[kind]
        items = [{"key": "ca.pem", "path": "ca.crt"}]
        assert volume(pod, "ca") == {"name": "ca", kind: {name: "company", "items": items}}
        [mount] = [each for each in container(pod)["volumeMounts"] if each["name"] == "ca"]
        assert mount["readOnly"] is True
        assert variables(pod)["REQUESTS_CA_BUNDLE"] == f"{mount['mountPath']}/ca.crt"


def test_without_a_private_ca_there_is_no_volume_for_one(chart: Chart) -> None:
    pod = pod_of(chart, "kind-cronjob")
    assert volume(pod, "ca") is None
    assert "REQUESTS_CA_BUNDLE" not in variables(pod)


def test_labels_and_annotations_for_all_are_on_every_object_and_select_nothing(
    chart: Chart,
) -> None:
    label, note = ("example.com/cost-centre", "4711"), ("example.com/contact", "bots@example.com")
    monitor = {"serviceMonitor": {"enabled": True}, "push": {"url": ""}}
    daemon = {"kind": "Deployment", "fleet": {"shards": 1}, "metrics": monitor}
    for manifests in (chart.render("everything"), chart.render("everything", **daemon)):
        ours = [each for each in manifests.objects if "/hook" not in str(each["metadata"])]
        ours = [each for each in ours if not each["metadata"]["name"].endswith(("-extra", "-text"))]
        assert len({each["kind"] for each in ours}) > 6
        for each in ours:
            assert label in each["metadata"]["labels"].items(), each["kind"]
            assert note in each["metadata"]["annotations"].items(), each["kind"]
            template = pod_template(each)
            assert template is None or label in template["metadata"]["labels"].items()
        selectors = [*manifests.of("Service"), *manifests.of("Deployment")]
        selectors += [*manifests.of("NetworkPolicy"), *manifests.of("ServiceMonitor")]
        assert all(label[0] not in str(each["spec"].get("selector", "")) for each in selectors)
        assert all(label[0] not in str(each["spec"].get("podSelector", "")) for each in selectors)


def test_no_label_of_the_values_takes_the_place_of_one_that_selects(chart: Chart) -> None:
    name = "app.kubernetes.io/name"
    taken = chart.render("kind-deployment", commonLabels={name: "x"}, podLabels={name: "y"})
    assert {each["metadata"]["labels"][name] for each in taken.objects} == {"rotator"}
    [daemon] = taken.of("Deployment")
    assert daemon["spec"]["template"]["metadata"]["labels"][name] == "rotator"


def test_objects_of_the_user_s_own_come_with_it(chart: Chart) -> None:
    names = {each["metadata"]["name"]: each for each in chart.render("everything").of("ConfigMap")}
    assert names["tokens-extra"]["data"] == {"here": "1"}
    assert names["rotator-text"]["metadata"]["namespace"] == "ops"


def test_names_that_look_like_numbers_or_truths_stay_texts_and_large_ids_stay_whole(
    chart: Chart,
) -> None:
    ids = {"runAsUser": 1000660000, "runAsGroup": 1000660000, "fsGroup": 1000660000}
    made = chart.render(
        "kind-cronjob",
        "store-kubernetes",
        admin={"existingSecret": "123", "emailKey": "true", "passwordKey": "a: b"},
        serviceAccount={"name": "456"},
        podSecurityContext=ids,
        priorityClassName="on",
        cronJob={"schedule": "@daily", "startingDeadlineSeconds": 1000000},
        config={"tokens": [{"name": "luna", "stores": ["kubernetes://2026/luna"]}]},
    )
    assert not [fault for each in made.objects for fault in faults(each, VERSIONS[-1])]
    assert [each["metadata"]["namespace"] for each in made.of("Role")] == ["2026"]
    assert made.cron_job()["spec"]["startingDeadlineSeconds"] == 1000000
    for _, pod in made.pods():
        secret = volume(pod, "admin")["secret"]
        assert secret["secretName"] == "123"
        assert [each["key"] for each in secret["items"]] == ["a: b", "true"]
        assert variables(pod)["NOCTURNA_ADMIN_PASSWORD_FILE"] == f"{FILES}/a: b"
        assert ids.items() <= pod["securityContext"].items()
        assert (pod["serviceAccountName"], pod["priorityClassName"]) == ("456", "on")
