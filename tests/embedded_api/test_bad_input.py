import pytest

from tests.support.sandbox import BIRTH, Sandbox

from .client import MINT, Client


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ({"days": "ninety"}, "days int_parsing"),
        ({"days": 1.5}, "days int_from_float"),
        ({"days": [90]}, "days int_type"),
        ({"scope": 7}, "scope string_type"),
        ({"eternal": "maybe"}, "eternal bool_parsing"),
        ({"eternal": 2}, "eternal bool_parsing"),
        ({"eternal": {}}, "eternal bool_type"),
        (["days", 90], "model_attributes_type"),
    ],
)
def test_a_mint_of_the_wrong_types_is_422_and_echoes_them(
    api: Sandbox, client: Client, admin: str, order: object, problem: str
) -> None:
    status, problems = client.call(MINT, bearer=admin, order=order).refusal
    field, _, kind = problem.rpartition(" ")
    assert (status, len(problems)) == (422, 1)
    assert set(problems[0]) == {"type", "loc", "msg", "input"}
    assert (problems[0]["type"], problems[0]["loc"]) == (kind, ["body", *field.split()])
    assert problems[0]["input"] == (order[field] if isinstance(order, dict) else order)
    assert api.tokens == []


def test_every_mistake_of_a_mint_is_listed(client: Client, admin: str) -> None:
    order = {"days": "x", "scope": 1, "eternal": "x"}
    _, problems = client.call(MINT, bearer=admin, order=order).refusal
    assert [p["loc"][1] for p in problems] == ["days", "scope", "eternal"]


def test_a_mint_without_a_body_is_422(client: Client, admin: str) -> None:
    _, problems = client.call(MINT, bearer=admin).refusal
    assert (problems[0]["type"], problems[0]["loc"]) == ("missing", ["body"])


def test_a_mint_that_is_not_declared_as_json_is_422(client: Client, admin: str) -> None:
    reply = client.call(MINT, bearer=admin, form={"days": "90"})
    _, problems = reply.refusal
    assert (problems[0]["type"], problems[0]["input"]) == ("model_attributes_type", "days=90")


def test_broken_json_is_noticed_before_a_missing_right(client: Client) -> None:
    status, problems = client.call(MINT, body='{"days": ').refusal
    assert (status, problems[0]["type"], problems[0]["loc"]) == (422, "json_invalid", ["body", 9])
    assert client.call(MINT, order={"days": "x"}).refusal == (401, "Not authenticated")


@pytest.mark.parametrize("path", ["/nope", "/auth", "/auth/login/x", "/auth/admin/verify/x"])
def test_an_unknown_path_is_404(client: Client, path: str) -> None:
    assert client.call(f"GET {path}").refusal == (404, "Not Found")


def test_calls_exist_below_api_only(api: Sandbox) -> None:
    client = Client(api.url.removesuffix("/api"))
    assert client.call("POST /auth/login").refusal == (404, "Not Found")
    assert client.call("GET /api").refusal == (404, "Not Found")
    client.close()


@pytest.mark.parametrize(
    ("call", "allow"),
    [
        ("GET /auth/login", "POST"),
        ("PATCH /auth/admin/service-tokens", "POST"),
        ("GET /auth/admin/service-tokens/some-id", "DELETE"),
        ("POST /health", "GET"),
    ],
)
def test_a_wrong_method_is_405(client: Client, call: str, allow: str) -> None:
    reply = client.call(call)
    assert reply.refusal == (405, "Method Not Allowed")
    assert reply.headers["allow"] == allow


def test_head_is_answered_without_a_body_and_the_connection_lives_on(client: Client) -> None:
    reply = client.call("HEAD /health")
    assert (reply.status, reply.body) == (405, b"")
    assert client.call("GET /health").status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_trailing_slash_answers_307_with_an_absolute_address(client: Client, method: str) -> None:
    headers = {"Host": "api.example.com"}
    reply = client.call(f"{method} /auth/admin/service-tokens/?a=b", headers=headers)
    assert (reply.status, reply.body) == (307, b"")
    location = "http://api.example.com/api/auth/admin/service-tokens?a=b"
    assert reply.headers["location"] == location


def test_a_trailing_slash_on_an_unknown_path_is_404(client: Client) -> None:
    assert client.call("GET /nope/").refusal == (404, "Not Found")
    assert client.call("GET /").refusal == (404, "Not Found")


CHART = "POST /stateless/natal-chart"


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("date", None, "missing"),
        ("time", None, "missing"),
        ("latitude", None, "missing"),
        ("longitude", None, "missing"),
        ("date", 19900115, "string_type"),
        ("timezone", 3, "string_type"),
        ("latitude", "north", "float_parsing"),
        ("longitude", [], "float_type"),
        ("latitude", 90.5, "less_than_equal"),
        ("longitude", -181, "greater_than_equal"),
    ],
)
def test_an_ordinary_call_is_checked_field_by_field(
    client: Client, user: str, field: str, value: object, kind: str
) -> None:
    order = {name: each for name, each in BIRTH.items() if name != field}
    order |= {} if value is None else {field: value}
    status, problems = client.call(CHART, bearer=user, order=order).refusal
    assert status == 422
    assert [(each["type"], each["loc"]) for each in problems] == [(kind, ["body", field])]


def test_an_ordinary_call_needs_a_body(client: Client, user: str) -> None:
    assert client.call(CHART, bearer=user).refusal[0] == 422
    _, problems = client.call(CHART, bearer=user, order={}).refusal
    missing = ["date", "time", "latitude", "longitude"]
    assert [each["loc"][1] for each in problems] == missing


def test_a_date_that_is_none_is_an_error_of_the_calculation(client: Client, user: str) -> None:
    status, detail = client.call(CHART, bearer=user, order=BIRTH | {"date": "soon"}).refusal
    assert (status, detail.startswith("Error calculating natal chart: ")) == (500, True)


def test_only_date_time_and_place_are_required(client: Client, user: str) -> None:
    order = {name: each for name, each in BIRTH.items() if name != "timezone"}
    reply = client.call(CHART, bearer=user, order=order)
    assert reply.json == {"success": True, "data": {"planets": {}, "houses": {}, "aspects": {}}}
