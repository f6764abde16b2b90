"""A wrong value is refused with a sentence that says what is wrong, and what to write."""

import pytest

from tests.helm.chart import TOKENS, Chart

URL = "https://api.example.com/api"
Values = dict[str, object]


def config(**token: object) -> Values:
    return {"config": {"api": {"url": URL}, "tokens": [{**TOKENS[0], **token}]}}


def api(**values: object) -> Values:
    return {"config": {"api": values}}


def cron(**values: object) -> Values:
    return {"cronJob": values}


# By the schema, which Helm reads before anything else.
SCHEMA: list[tuple[Values, str]] = [
    ({"kind": "StatefulSet"}, "at '/kind': value must be one of 'CronJob', 'Deployment'"),
    ({"knid": "CronJob"}, "additional properties 'knid' not allowed"),
    (cron(shedule="@daily"), "at '/cronJob': additional properties 'shedule' not allowed"),
    (cron(backoffLimit="two"), "at '/cronJob/backoffLimit': got string, want integer"),
    (cron(backoffLimit=99), "at '/cronJob/backoffLimit': maximum: got 99, want 6"),
    (cron(suspend="no"), "at '/cronJob/suspend': got string, want boolean"),
    ({"cronJob": None}, "missing property 'cronJob'"),
    ({"fleet": {"shards": 0}}, "at '/fleet/shards': minimum: got 0, want 1"),
    ({"daemon": {"port": 80}}, "at '/daemon/port': minimum: got 80, want 1,024"),
    ({"podSecurityContext": {"runAsUser": 0}}, "runAsUser': minimum: got 0, want 1"),
    (
        {"podSecurityContext": {"privileged": True}},
        "at '/podSecurityContext': additional properties 'privileged' not allowed",
    ),
    ({"logFormat": "xml"}, "at '/logFormat': value must be one of 'json', 'text'"),
    ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
    (
        {"fullnameOverride": "My rotator: x"},
        "at '/fullnameOverride': 'My rotator: x' does not match",
    ),
    ({"nameOverride": "123"}, "at '/nameOverride': '123' does not match pattern"),
    (config(validty="90d"), "at '/config/tokens/0': additional properties 'validty' not allowed"),
    (config(validity=90), "at '/config/tokens/0/validity': got number, want string"),
    (config(stores=[]), "at '/config/tokens/0/stores': minItems: got 0, want 1"),
    (config(stores="dotenv:.env"), "at '/config/tokens/0/stores': got string, want array"),
    (config(hooks=["systemctl"]), "/hooks/0': got string, want array"),
    (
        {"config": {"tokens": [{"stores": ["vault://secret/luna"]}]}},
        "at '/config/tokens/0': missing property 'name'",
    ),
    ({"admin": {"password": "x"}}, "at '/admin': additional properties 'password' not allowed"),
    ({"extraEnv": [{"value": "x"}]}, "at '/extraEnv/0': missing property 'name'"),
    ({"ca": {"configMap": "Company CA"}}, "at '/ca/configMap': 'Company CA' does not match"),
    ({"ca": {"file": "x"}}, "at '/ca': additional properties 'file' not allowed"),
    ({"global": {"imageRegistry": "https://x"}}, "imageRegistry': 'https://x' does not match"),
    ({"dnsPolicy": "none"}, "at '/dnsPolicy': value must be one of '', 'ClusterFirst'"),
    ({"extraVolumeMounts": [{"name": "x", "mountPath": "x"}]}, "'x' does not match pattern '^/'"),
]

# By the templates, where the schema has no words for it.
SENTENCES: list[tuple[Values, str]] = [
    (
        api(url=""),
        "config.api.url: found nothing, expected the API's URL, which ends in /api, such",
    ),
    (
        api(url="https://api.example.com"),
        'found "https://api.example.com", expected the API\'s URL',
    ),
    (api(url="api.example.com"), 'config.api.url: found "api.example.com", expected the API\'s'),
    (api(url="http://api.example.com/api"), "expected https: http would show the password"),
    (
        api(admin_password="hunter2"),
        (
            "config.api.admin_password: found no store URL (what is there is not shown), expected"
            " one such as vault://secret/nocturna#password; a password does not belong in values"
        ),
    ),
    (
        api(admin_password="vault://secret/nocturna#password"),
        (
            "the admin's password: found admin.existingSecret and config.api.admin_password,"
            " expected exactly one of"
        ),
    ),
    ({"admin": {"existingSecret": ""}}, "the admin's password: found no source, expected exactly"),
    (
        {"admin": {"existingSecret": ""}, **api(admin_password="vault://secret/nocturna#password")},
        "config.api.admin_email: found nothing, expected the admin's e-mail",
    ),
    (
        api(admin_email="a@example.com", admin_email_file="/email"),
        "config.api.admin_email: found admin_email_file as well, expected one of them",
    ),
    (
        {"admin": {"existingSecret": "My_Secret"}},
        'found "My_Secret", expected the name of a Secret',
    ),
    ({"config": {"tokens": []}}, "config.tokens: found nothing, expected at least one token"),
    (config(name="luna bot"), 'name: found "luna bot", expected letters, digits and . _ -'),
    (
        {"config": {"tokens": [*TOKENS, *TOKENS]}},
        'config.tokens "luna-bot": found a second token of this name, expected another name',
    ),
    (
        config(validity="3 months"),
        'config.tokens "luna-bot" validity: found "3 months", expected a duration such as 7d',
    ),
    (
        {"config": {"defaults": {"renew_before": "1w"}}},
        'config.defaults renew_before: found "1w", expected a duration such as 7d, 12h, 90m or 30s',
    ),
    (config(validity="400d"), 'validity: found "400d", expected whole days from 1d to 365d'),
    (config(validity="36h"), 'validity: found "36h", expected whole days from 1d to 365d'),
    (
        config(renew_before="100d"),
        'luna-bot" validity: found "90d", expected more than renew_before, which is 100d',
    ),
    (config(validity="7d"), 'validity: found "7d", expected more than renew_before, which is 7d'),
    (
        config(rotation_timeout="30m"),
        (
            'terminationGracePeriodSeconds: found "180", expected more than the rotation_timeout of'
            ' config.tokens "luna-bot", which is 30m: a rotation in hand is finished before a pod'
        ),
    ),
    (config(retire="later"), 'retire: found "later", expected never, now, a time such'),
    (
        config(restart=["pod/luna-bot"]),
        'restart: found "pod/luna-bot", expected KIND/NAME or NAMESPACE/KIND/NAME, of a deployment',
    ),
    (
        config(restart=["luna-bot"]),
        'config.tokens "luna-bot" restart: found "luna-bot", expected KIND/NAME or NAMESPACE/KIND',
    ),
    (config(stores=["luna-token"]), 'stores: found "luna-token", expected a store URL such as'),
    (
        config(stores=["kubernetes:bots/luna"]),
        (
            'config.tokens "luna-bot" stores: found "kubernetes:bots/luna", expected'
            " kubernetes://NAMESPACE/NAME#KEY"
        ),
    ),
    (
        config(stores=["kubernetes://luna-token"]),
        'config.tokens "luna-bot" stores: found "kubernetes://luna-token", expected kubernetes://N',
    ),
    (
        api(admin_email="a@example.com", admin_password="kubernetes://admin#password"),
        'config.api.admin_password: found "kubernetes://admin#password", expected kubernetes://N',
    ),
    (
        {"config": {"tokens": [*TOKENS, {**TOKENS[0], "name": "sol-bot"}]}},
        (
            'config.tokens "sol-bot" stores: found kubernetes://bots/luna-token a second time (also'
            " in luna-bot), expected each store once"
        ),
    ),
    (
        config(stores=["kubernetes://a/b", "kubernetes://a/b#NOCTURNA_SERVICE_TOKEN"]),
        "found kubernetes://a/b#NOCTURNA_SERVICE_TOKEN a second time (also in luna-bot)",
    ),
    (
        config(stores=["vault://secret/luna"]),
        "extraEnv: found no VAULT_ADDR, expected the address of the Vault or OpenBao",
    ),
    (
        config(stores=["dotenv:.env"]),
        (
            'stores: found "dotenv:.env", expected a file below the mountPath of one of'
            " extraVolumeMounts: any other is gone with the pod"
        ),
    ),
    (
        cron(schedule="every day"),
        'cronJob.schedule: found "every day", expected the five fields of cron, such as 17 */6',
    ),
    (cron(schedule="0 25 * * *"), 'found "25", expected numbers from 0 to 23 in this place'),
    (cron(schedule="CRON_TZ=UTC 0 1 * * *"), "the time zone is in cronJob.timeZone"),
    (cron(schedule="0 3 * * Foo"), 'found "Foo", expected numbers from 0 to 6 in this place'),
    (cron(timeZone="Local"), 'cronJob.timeZone: found "Local", expected a time zone such as'),
    (cron(timeZone="MEZ+1:00"), 'cronJob.timeZone: found "MEZ+1:00", expected a time zone such as'),
    (
        cron(schedule="*/10 * * * *"),
        (
            "cronJob.activeDeadlineSeconds: found 1800, expected less than the 600 seconds that are"
            ' between two runs of "*/10 * * * *"'
        ),
    ),
    (
        {"kind": "Deployment", "fleet": {"shards": 3}},
        "fleet.shards: found 3 with kind: Deployment, expected 1: the one daemon takes all tokens",
    ),
    (
        {"kind": "Deployment", "metrics": {"push": {"url": "http://push:9091"}}},
        "metrics.push.url: found a URL with kind: Deployment, expected nothing",
    ),
    (
        {"metrics": {"push": {"url": "http://me:secret@push:9091"}}},
        'metrics.push.url: found "a URL with a user or password in it", expected the URL of a',
    ),
    (
        {"metrics": {"serviceMonitor": {"enabled": True}}},
        "metrics.serviceMonitor.enabled: found kind: CronJob, whose pods are gone before they are",
    ),
    (
        {"extraEnv": [{"name": "VAULT_TOKEN", "value": "hvs.secret"}]},
        "extraEnv: found a value for VAULT_TOKEN, expected valueFrom: a credential belongs in a",
    ),
    (
        {"extraEnv": [{"name": "ROTATOR_STORE", "value": "dotenv:.env"}]},
        "extraEnv: found ROTATOR_STORE, expected that setting in config",
    ),
    (
        {"ca": {"configMap": "one", "secret": "two"}},
        "ca: found configMap and secret, expected one of them",
    ),
    (
        {"ca": {"secret": "x"}, "extraEnv": [{"name": "REQUESTS_CA_BUNDLE", "value": "/x"}]},
        "extraEnv: found REQUESTS_CA_BUNDLE, which ca sets as well, expected one of them",
    ),
    (
        {"extraEnv": [{"name": "VAULT_AUTH_METHOD", "value": "kubernetes"}]},
        "extraEnv: found a login to Vault by the pod's token without VAULT_JWT_FILE, expected",
    ),
]


@pytest.mark.sample(20)
@pytest.mark.parametrize(
    ("values", "sentence"), SCHEMA + SENTENCES, ids=lambda each: str(each)[:60]
)
def test_a_wrong_value_is_refused_in_words(chart: Chart, values: Values, sentence: str) -> None:
    said = chart.refusal("kind-cronjob", **values)
    assert sentence in said
    for secret in ("hunter2", "hvs.secret", "me:secret"):
        assert secret not in said


def test_an_old_cluster_is_refused_in_words(chart: Chart) -> None:
    said = chart.refusal("--kube-version=1.28.3", "kind-cronjob")
    assert "kind: CronJob needs Kubernetes 1.29, found v1.28.3; kind: Deployment needs less" in said
    assert chart.render("--kube-version=1.20.2", "kind-deployment").of("Deployment")
