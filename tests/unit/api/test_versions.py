"""Which version a request speaks, and which code answers it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.api import ApiVersion, VersionChange, Versions, deprecated, migration_guide
from shared.api._versions import downgraded, upgraded
from shared.errors import (
    BadRequestError,
    InvalidArgumentError,
    NotAcceptableError,
    SharedError,
    ValidationError,
)

ROUTES = {
    "/v2/orders": "/v2/orders",
    "/v2/orders/7": "/v2/orders/{order_id}",
    "/v3/orders": "/v3/orders",
    "/v1/legacy": "/v1/legacy",
    "/plain": "/plain",
    "/metrics": "/metrics",
    "/health": "/health",
}


def change(version, mark, routes=("/orders",), **more):
    return VersionChange(
        f"{mark} came",
        version=version,
        routes=routes,
        upgrade_request=lambda body: body + [f"up {mark}"],
        downgrade_response=lambda data: data + [f"down {mark}"],
        **more,
    )


CHANGES = [
    change("v2", "a"),
    change("v2", "b"),
    change("v3", "c"),
    change("v2", "id", ["/orders/{order_id}"]),
]


def speak(versions, path, method="GET", **headers):
    told = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return versions.speak(
        method, path, lambda name: told.get(name.lower()), lambda p: ROUTES.get(p, "unmatched")
    )


@pytest.fixture
def versions():
    return Versions(["v1", "v2", "v3"], changes=CHANGES)


# -- by the path ----------------------------------------------------------------------------


def test_path_names_the_version(versions):
    spoken = speak(versions, "/v3/orders")

    assert (spoken.version.name, spoken.path, spoken.upgrades) == ("v3", "/v3/orders", ())


def test_old_version_without_a_route_is_answered_by_the_next_that_has_one(versions):
    spoken = speak(versions, "/v1/orders")

    assert (spoken.version.name, spoken.path) == ("v1", "/v2/orders")


def test_old_version_with_a_route_of_its_own_keeps_it(versions):
    spoken = speak(versions, "/v1/legacy")

    assert (spoken.path, spoken.upgrades, spoken.downgrades) == ("/v1/legacy", (), ())


def test_changes_between_the_two_versions_are_bridged_in_order(versions):
    spoken = speak(versions, "/v1/orders", "POST")

    assert upgraded(spoken, []) == ["up a", "up b"]
    assert downgraded(spoken, []) == ["down b", "down a"]


def test_changes_of_other_routes_are_not_applied(versions):
    assert upgraded(speak(versions, "/v1/orders/7"), []) == ["up id"]


def test_changes_of_other_methods_are_not_applied():
    versions = Versions(["v1", "v2"], changes=[change("v2", "a", methods=["post"])])

    assert speak(versions, "/v1/orders", "GET").upgrades == ()
    assert len(speak(versions, "/v1/orders", "POST").upgrades) == 1


def test_chain_over_several_versions_is_bridged():
    versions = Versions(["v1", "v2", "v3"], changes=[change("v3", "c"), change("v2", "a")])
    spoken = versions.speak(
        "GET", "/v1/orders", lambda _: None, lambda p: p if p == "/v3/orders" else "unmatched"
    )

    assert upgraded(spoken, []) == ["up a", "up c"]
    assert downgraded(spoken, []) == ["down c", "down a"]


def test_newer_version_is_never_answered_by_older_code(versions):
    assert speak(versions, "/v3/legacy").path == "/v3/legacy"
    assert speak(versions, "/v2/legacy").path == "/v2/legacy"


def test_prefix_is_no_way_to_paths_without_version(versions):
    assert speak(versions, "/v1/metrics").path == "/v1/metrics"


@pytest.mark.parametrize("path", ["/plain", "/v9/orders", "/", "/v10", "/V1/orders"])
def test_path_of_no_version_is_left_alone(versions, path):
    assert speak(versions, path) == (None, path, (), ())


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_path_is_read(path):
    spoken = speak(Versions(["v1", "v2"]), "/" + path)

    assert spoken.path.startswith("/")


# -- by header and media type ----------------------------------------------------------------


@pytest.fixture
def chosen():
    return Versions(
        ["v1", "v2", "v3"],
        changes=[*CHANGES, change("v2", "p", ["/plain"])],
        header="API-Version",
        media_type="application/vnd.shop.{version}+json",
    )


def test_header_chooses(chosen):
    assert speak(chosen, "/orders", api_version=" V2 ").path == "/v2/orders"
    assert speak(chosen, "/orders", api_version="v3").path == "/v3/orders"


def test_media_type_chooses(chosen):
    spoken = speak(chosen, "/orders", accept="text/html, application/vnd.shop.v2+json;q=0.9")

    assert (spoken.version.name, spoken.path) == ("v2", "/v2/orders")


def test_path_without_version_is_code_of_the_newest(chosen):
    spoken = speak(chosen, "/plain", api_version="v1")

    assert (spoken.path, upgraded(spoken, [])) == ("/plain", ["up p"])


def test_request_that_names_none_speaks_the_default(chosen):
    assert speak(chosen, "/plain").version.name == "v3"
    named = Versions(["v1", "v2"], header="API-Version", default="v1")
    assert speak(named, "/plain").version.name == "v1"


def test_path_wins_over_the_header(chosen):
    assert speak(chosen, "/v3/orders", api_version="v1").version.name == "v3"


def test_probes_speak_no_version():
    versions = Versions(["v1", "v2"], header="API-Version", default="v1")

    assert speak(versions, "/health").version is None


def test_header_that_names_no_version_is_a_400(chosen):
    with pytest.raises(BadRequestError) as caught:
        speak(chosen, "/orders", api_version="v9")
    assert caught.value.details == {"known": ["v1", "v2", "v3"]}


def test_media_type_that_names_no_version_is_a_406(chosen):
    with pytest.raises(NotAcceptableError):
        speak(chosen, "/orders", accept="application/vnd.shop.v9+json")


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=60))
def test_any_header_is_read_or_refused_by_our_errors(named, accept):
    versions = Versions(["v1"], header="API-Version", media_type="application/vnd.{version}")
    try:
        speak(versions, "/orders", api_version=named, accept=accept)
    except SharedError as exc:
        refused = exc.status
    else:
        refused = 400
    assert refused in (400, 406)


# -- bridging --------------------------------------------------------------------------------


def bridged(upgrade=None, downgrade=None):
    rule = VersionChange(
        "x", version="v2", routes="/orders", upgrade_request=upgrade, downgrade_response=downgrade
    )
    return speak(Versions(["v1", "v2"], changes=[rule]), "/v1/orders")


def test_only_the_data_of_an_envelope_are_downgraded():
    spoken = bridged(downgrade=lambda data: {"old": data["new"]})

    document = {"success": True, "data": {"new": 1}, "message": "ok", "timestamp": "t", "version": "v1"}
    assert downgraded(spoken, document)["data"] == {"old": 1}
    assert list(document) == ["success", "data", "message", "timestamp", "version"]


def test_json_without_envelope_is_downgraded_as_a_whole():
    assert downgraded(bridged(downgrade=len), [1, 2]) == 2


@pytest.mark.parametrize("body", [{}, [], None, 7, "text"], ids=["empty", "list", "null", "number", "text"])
def test_body_that_an_upgrade_cannot_cope_with_is_a_422(body):
    with pytest.raises(ValidationError, match="form of version v1"):
        upgraded(bridged(upgrade=lambda old: {"amount": old["total"]["cents"]}), body)


def test_error_of_an_upgrade_keeps_its_status():
    def refuse(_body):
        raise BadRequestError("no")

    with pytest.raises(BadRequestError):
        upgraded(bridged(upgrade=refuse), {})


# -- declarations -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Versions([]),
        lambda: Versions(["v1", "v1"]),
        lambda: ApiVersion("v 1"),
        lambda: ApiVersion("V1"),
        lambda: Versions(["v1"], default="v2"),
        lambda: Versions(["v1"], header="no header"),
        lambda: Versions(["v1"], media_type="application/json"),
        lambda: Versions(["v1"], max_bytes=0),
        lambda: Versions(["v1", "v2"], changes=[change("v1", "first")]),
        lambda: Versions(["v1", "v2"], changes=[change("v9", "none")]),
        lambda: VersionChange("x", version="v2", routes=[]),
        lambda: VersionChange("x", version="v2", routes=["orders"]),
    ],
    ids=[
        "none",
        "twice",
        "space",
        "upper",
        "default",
        "header",
        "media",
        "bytes",
        "first",
        "unknown",
        "routes",
        "slash",
    ],
)
def test_declaration_that_makes_no_sense_is_refused(make):
    with pytest.raises(InvalidArgumentError):
        make()


# -- the guide --------------------------------------------------------------------------------


@pytest.fixture
def guide():
    old = deprecated(
        "2025-01-01", sunset="2025-07-01", guide="https://d.example/v2", reason="Money has | a currency."
    )
    versions = Versions(
        [ApiVersion("v1", deprecated=old, released="2024-01-01"), "v2", "v3"],
        changes=[change("v2", "amount", description="Use `amount`.", methods=["POST"])],
        header="API-Version",
        media_type="application/vnd.shop.{version}+json",
    )
    return migration_guide(versions, title="Shop", routes={"GET /v2/old": old})


@pytest.mark.parametrize(
    "line",
    [
        "# Shop",
        "| `v1` | 2024-01-01 | 2025-01-01 | 2025-07-01 |  |",
        "## From v1 to v2",
        "### amount came",
        "Concerns `/orders` (POST).",
        "Use `amount`.",
        "Callers of `v1` notice nothing: requests in the old form are translated and answers come in the old form.",
        "Nothing that callers have to change.",
        "| `GET /v2/old` | 2025-01-01 | 2025-07-01 |  | Money has \\| a currency. |",
    ],
)
def test_guide_tells_what_was_declared(guide, line):
    assert line in guide.splitlines()


def test_guide_tells_the_ways_to_choose(guide):
    for way in ("`/v3/...`", "`API-Version: v3`", "`Accept: application/vnd.shop.v3+json`"):
        assert way in guide


def test_guide_tells_the_newest_first(guide):
    assert guide.index("From v2 to v3") < guide.index("From v1 to v2")
