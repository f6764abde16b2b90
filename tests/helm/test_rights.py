"""The rights in Kubernetes are those that the config needs, and no other."""

import pytest

from tests.helm.chart import NAMESPACE, Chart, Manifests
from tests.kubernetes.site import documented, documented_rules

API = {"url": "https://api.example.com/api"}
VAULT = {"name": "VAULT_ADDR", "value": "https://vault.example.com"}
Rule = tuple[str, str, tuple[str, ...], tuple[str, ...]]
EVENTS: Rule = ("", "events", (), ("create",))  # to show what happened


def rights(manifests: Manifests) -> dict[str, set[Rule]]:
    """Return who may do what: by namespace (resource, verb, names)."""
    return {
        role["metadata"]["namespace"]: {
            (
                *rule["apiGroups"],
                *rule["resources"],
                tuple(rule.get("resourceNames", ())),
                tuple(rule["verbs"]),
            )
            for rule in role["rules"]
        }
        for role in manifests.of("Role")
    }


def of(chart: Chart, *tokens: object, **more: object) -> dict[str, set[Rule]]:
    config = {"api": API, "tokens": list(tokens), **more}
    return rights(chart.render("kind-cronjob", config=config, extraEnv=[VAULT]))


def token(*stores: str, name: str = "luna-bot", **more: object) -> dict[str, object]:
    return {"name": name, "stores": list(stores), **more}


def test_the_rules_are_those_of_the_documentation_with_which_the_backend_is_tested(
    chart: Chart,
) -> None:
    [role] = [o for o in documented() if (o["kind"], o["metadata"]["name"]) == ("Role", "rotator")]
    creating = documented_rules("verbs: [create]")
    restarting = documented_rules("resources: [deployments]")
    for more, url, restart in (
        ([], "kubernetes://bots/luna", []),
        (creating, "kubernetes://bots/luna?create=true", []),
        (restarting, "kubernetes://bots/luna", ["deployment/luna-bot"]),
    ):
        config = {"api": API, "tokens": [token(url, restart=restart)]}
        made = chart.render("kind-cronjob", config=config).one("Role")
        assert made["rules"] == role["rules"] + more


def test_secrets_are_listed_only_where_that_is_asked_for(chart: Chart) -> None:
    config = {"api": API, "tokens": [token("kubernetes://bots/luna")]}
    made = chart.render("kind-cronjob", config=config, rbac={"listSecrets": True}).one("Role")
    usual = chart.render("kind-cronjob", config=config).one("Role")
    assert made["rules"] == usual["rules"] + documented_rules("verbs: [list]")


def test_each_namespace_has_its_own_role_with_its_own_names(chart: Chart) -> None:
    assert rights(chart.render("kind-cronjob", "store-kubernetes")) == {
        "bots": {
            ("", "secrets", ("luna-copy", "luna-token"), ("get", "patch")),
            EVENTS,
            ("", "secrets", (), ("create",)),
            ("apps", "deployments", ("luna-bot",), ("patch",)),
            ("apps", "daemonsets", ("sol-agent",), ("patch",)),
        },
        "sol": {
            ("", "secrets", ("sol-token",), ("get", "patch")),
            EVENTS,
            ("apps", "statefulsets", ("sol-bot",), ("patch",)),
        },
    }


def test_the_roles_are_bound_to_the_account_of_the_pods_alone(chart: Chart) -> None:
    manifests = chart.render("kind-cronjob", "store-kubernetes")
    account = {"kind": "ServiceAccount", "name": "rotator", "namespace": NAMESPACE}
    roles = {
        (each["metadata"]["namespace"], each["metadata"]["name"]) for each in manifests.of("Role")
    }
    bindings = manifests.of("RoleBinding")
    assert {(b["metadata"]["namespace"], b["roleRef"]["name"]) for b in bindings} == roles
    assert [each["subjects"] for each in bindings] == [[account]] * 2
    assert {pod["serviceAccountName"] for _, pod in manifests.pods()} == {"rotator"}
    assert manifests.one("ServiceAccount")["metadata"]["name"] == "rotator"
    assert manifests.of("ClusterRole") == manifests.of("ClusterRoleBinding") == []


def test_the_admin_s_password_is_only_read(chart: Chart) -> None:
    admin = {**API, "admin_email": "a@example.com", "admin_password": "kubernetes://ops/admin#pass"}
    config = {"api": admin, "tokens": [token("kubernetes://bots/luna")]}
    found = rights(chart.render("kind-cronjob", config=config, admin={"existingSecret": ""}))
    assert found["ops"] == {("", "secrets", ("admin",), ("get",))}
    beside = {**admin, "admin_password": "kubernetes://bots/luna#pass"}
    config = {**config, "api": beside}
    found = rights(chart.render("kind-cronjob", config=config, admin={"existingSecret": ""}))
    assert found == {"bots": {("", "secrets", ("luna",), ("get", "patch")), EVENTS}}


@pytest.mark.parametrize("url", ["dotenv:/srv/luna/.env", "vault://secret/kubernetes/luna"])
def test_other_stores_need_no_right_here(chart: Chart, url: str) -> None:
    config = {"api": API, "tokens": [token(url)]}
    assert rights(chart.render("store-dotenv", config=config, extraEnv=[VAULT])) == {}


def test_a_workload_without_a_namespace_is_beside_its_first_kubernetes_store(chart: Chart) -> None:
    stores = ("vault://secret/luna", "kubernetes://b/luna", "kubernetes://a/luna")
    found = of(chart, token(*stores, restart=["deployment/luna-bot"]))
    assert ("apps", "deployments", ("luna-bot",), ("patch",)) in found["b"]


def test_a_workload_beside_no_kubernetes_store_is_where_the_rotator_is(chart: Chart) -> None:
    found = of(chart, token("vault://secret/luna", restart=["statefulset/luna-bot"]))
    assert found == {NAMESPACE: {("apps", "statefulsets", ("luna-bot",), ("patch",))}}


def test_defaults_count_for_tokens_that_name_no_workloads_of_their_own(chart: Chart) -> None:
    found = of(
        chart,
        token("kubernetes://bots/luna"),
        token("kubernetes://sol/sol", name="sol-bot", restart=[]),
        defaults={"restart": ["deployment/all"]},
    )
    assert found == {
        "bots": {
            ("", "secrets", ("luna",), ("get", "patch")),
            EVENTS,
            ("apps", "deployments", ("all",), ("patch",)),
        },
        "sol": {("", "secrets", ("sol",), ("get", "patch")), EVENTS},
    }


def test_what_is_in_another_cluster_needs_no_right_in_this_one(chart: Chart) -> None:
    url = "kubernetes://bots/luna?create=true&context=other#KEY"
    assert of(chart, token(url, restart=["deployment/luna-bot"])) == {}


def test_rights_may_be_left_to_others(chart: Chart) -> None:
    manifests = chart.render("kind-cronjob", rbac={"create": False})
    assert manifests.of("Role") == manifests.of("RoleBinding") == []


def test_an_account_may_be_there_already(chart: Chart) -> None:
    account = {"create": False, "name": "there"}
    manifests = chart.render("kind-cronjob", serviceAccount=account)
    assert manifests.of("ServiceAccount") == []
    assert manifests.one("RoleBinding")["subjects"][0]["name"] == "there"


def test_a_cloud_knows_the_account_by_its_annotations(chart: Chart) -> None:
    metadata = chart.render("kind-cronjob", "store-aws").one("ServiceAccount")["metadata"]
    role = "arn:aws:iam::123456789012:role/rotator"
    assert metadata["annotations"] == {"eks.amazonaws.com/role-arn": role}
