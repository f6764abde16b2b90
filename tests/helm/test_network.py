"""The network policy: out to what the config needs, in to the daemon's page alone."""

from tests.helm.chart import Chart, Object

DNS = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]


def policy(chart: Chart, *files: str, **values: object) -> Object:
    return dict(chart.render(*files, **values).one("NetworkPolicy")["spec"])


def ports(rule: Object) -> list[int]:
    assert {each["protocol"] for each in rule["ports"]} == {"TCP"}
    return [each["port"] for each in rule["ports"]]


def test_it_is_about_all_pods_of_the_release_and_both_ways(chart: Chart) -> None:
    manifests = chart.render("kind-cronjob")
    found = manifests.one("NetworkPolicy")["spec"]
    assert found["policyTypes"] == ["Ingress", "Egress"]
    selected = found["podSelector"]["matchLabels"].items()
    made = manifests.cron_job()["spec"]["jobTemplate"]["spec"]["template"]
    for pod in (made, *manifests.of("Pod")):
        assert selected <= pod["metadata"]["labels"].items()


def test_nothing_comes_in_but_to_the_page_of_a_daemon(chart: Chart) -> None:
    assert "ingress" not in policy(chart, "kind-cronjob")
    [rule] = policy(chart, "kind-deployment")["ingress"]
    assert ports(rule) == [9464]
    assert "from" not in rule
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    [rule] = policy(chart, "kind-deployment", networkPolicy={"from": peers})["ingress"]
    assert rule["from"] == peers


def test_out_go_dns_the_api_and_kubernetes(chart: Chart) -> None:
    dns, out = policy(chart, "kind-cronjob")["egress"]
    assert dns == {"ports": DNS}
    assert ports(out) == [443, 6443]


def test_a_store_elsewhere_needs_no_kubernetes(chart: Chart) -> None:
    _, out = policy(chart, "store-dotenv")["egress"]
    assert ports(out) == [443]
    _, out = policy(chart, "store-vault")["egress"]
    assert ports(out) == [443, 8200]


def test_aws_gives_credentials_at_addresses_of_its_own(chart: Chart) -> None:
    _, out, metadata = policy(chart, "store-aws")["egress"]
    assert ports(out) == [443]
    assert ports(metadata) == [80]
    cidrs = [each["ipBlock"]["cidr"] for each in metadata["to"]]
    assert cidrs == ["169.254.169.254/32", "169.254.170.23/32"]


def test_ports_in_urls_count_and_peers_may_be_named(chart: Chart) -> None:
    dns, out, _, proxy = policy(chart, "everything")["egress"]
    assert dns == {"ports": DNS}
    assert ports(out) == [443, 6443, 8000, 9091]
    assert out["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    assert ports(proxy) == [3128]


def test_notices_leave_by_https(chart: Chart) -> None:
    api = {"url": "https://api.example.com:8443/api"}
    quiet = {"api": api, "tokens": [{"name": "luna-bot", "stores": ["vault://secret/luna"]}]}
    loud = {**quiet, "defaults": {"notify": ["ntfys://topic"]}}
    elsewhere = [{"secretRef": {"name": "vault"}}]  # holds VAULT_ADDR, say
    for config, expected in ((quiet, [8200, 8443]), (loud, [443, 8200, 8443])):
        found = policy(chart, "kind-cronjob", config=config, extraEnvFrom=elsewhere)
        assert ports(found["egress"][1]) == expected


def test_it_can_be_left_out(chart: Chart) -> None:
    manifests = chart.render("kind-cronjob", networkPolicy={"enabled": False})
    assert manifests.of("NetworkPolicy") == []
