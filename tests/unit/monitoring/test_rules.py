import re

import pytest
import yaml

from shared.errors import InvalidArgumentError
from shared.monitoring import (
    SLO,
    AIMetrics,
    BusinessMetrics,
    CacheMetrics,
    DatabaseMetrics,
    DegradationAlert,
    EventLoopMonitor,
    FlagMetrics,
    HttpMetrics,
    JobMetrics,
    MemoryRollupStore,
    Metrics,
    PerformanceRecorder,
    ProcessMetrics,
    ResilienceMetrics,
    ThresholdAlert,
    health_metrics,
    latency,
    render_alertmanager,
    render_dashboard,
    render_rules,
    task_success,
)
from shared.monitoring._dashboard import dashboard
from shared.runtime import Events

SLOS = [
    SLO("availability", objective=99.9),
    SLO("latency", objective=95, sli=latency(0.2)),
    SLO("receipts", objective="99.5", sli=task_success("send_receipt")),
]


def exposed_names():
    """Every name a service of ours exposes, with the suffixes of its kind."""
    metrics = Metrics("test", multiprocess=False)
    for kind in (
        AIMetrics,
        BusinessMetrics,
        CacheMetrics,
        DatabaseMetrics,
        FlagMetrics,
        JobMetrics,
        ResilienceMetrics,
    ):
        kind(metrics)
    HttpMetrics(metrics)
    ProcessMetrics(metrics)
    EventLoopMonitor().show(metrics)
    health_metrics(metrics, Events())
    PerformanceRecorder(MemoryRollupStore(), metrics=metrics)
    names = {"up", "container_memory_working_set_bytes", "container_memory_limit_bytes"}
    for reading in metrics.collect():
        name = reading.definition.name
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(
            reading.definition.kind, [""]
        )
        names |= {name + suffix for suffix in suffixes}
    return names


def metrics_in(expression):
    """Names that an expression selects by, recorded ones left out."""
    found = re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{", expression)
    return {name for name in found if ":" not in name}


def rules(**options):
    document = yaml.safe_load(render_rules(SLOS, service="orders", **options))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_every_metric_the_rules_ask_for_is_one_that_is_exposed():
    asked = set().union(*(metrics_in(rule["expr"]) for rule in rules()))

    assert asked - exposed_names() == set()
    assert len(asked) > 10


def test_every_metric_the_dashboard_asks_for_is_one_that_is_exposed():
    panels = dashboard(SLOS, service="orders")["panels"]
    asked = set().union(*(metrics_in(t["expr"]) for panel in panels for t in panel.get("targets", [])))

    assert asked - exposed_names() == set()
    assert len(asked) > 15


def test_each_promise_has_recordings_of_seven_windows_and_two_alerts():
    document = yaml.safe_load(render_rules(SLOS[:1], service="orders", defaults=False))

    names = [group["name"] for group in document["groups"]]
    recorded = [rule["record"] for rule in document["groups"][0]["rules"]]
    alerts = [rule["alert"] for rule in document["groups"][1]["rules"]]
    assert names == ["slo-availability-recordings", "slo-availability-alerts"]
    windows = [name.removeprefix("slo:sli_error:ratio_rate") for name in recorded if "ratio_rate" in name]
    assert sorted(windows) == sorted(["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"])
    assert alerts == ["AvailabilityBudgetBurnPage", "AvailabilityBudgetBurnTicket"]


def test_the_labels_are_those_of_sloth():
    recording = rules()[0]

    assert recording["labels"] == {
        "sloth_id": "orders-availability",
        "sloth_service": "orders",
        "sloth_slo": "availability",
        "sloth_window": "5m",
    }


def test_thresholds_are_exact_and_say_their_factor():
    page = next(rule for rule in rules() if rule.get("alert") == "AvailabilityBudgetBurnPage")

    assert page["expr"].count("> 0.0144") == 2
    assert page["expr"].count("> 0.006") == 2
    assert "# 14.4 times the budget" in page["expr"]
    assert "0.00099" not in render_rules(SLOS, service="orders")


def test_all_four_kinds_of_alert_are_there():
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}

    assert {"OrdersSlower", "LatencyBudgetBurnPage"} <= alerts  # performance degradation
    assert "AvailabilityBudgetBurnPage" in alerts  # error rate
    assert "OrdersFlagChanged" in alerts  # flag changes
    assert {"OrdersDown", "OrdersNotReady", "OrdersUnhealthy"} <= alerts  # system health
    assert "OrdersDeadMansSwitch" in alerts


def test_every_alert_has_severity_service_and_summary():
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket", "info", "none"}
            assert rule["labels"]["service"] == "orders"
            assert rule["annotations"]["summary"].startswith("orders: ")


def test_alerts_of_ones_own_are_rendered_when_they_have_an_expression():
    own = [
        ThresholdAlert(
            "queue depth", lambda: 1, above=100, promql="max(job_queue_depth)", wait=60, severity="page"
        ),
        ThresholdAlert("few workers", lambda: 1, below=2, promql="sum(process_workers)"),
        ThresholdAlert("in process only", lambda: 1, above=1),
        DegradationAlert("slower orders", recent=300, baseline=3600),
    ]
    made = {rule["alert"]: rule for rule in rules(alerts=own, defaults=False) if "alert" in rule}

    assert made["QueueDepth"]["expr"] == "max(job_queue_depth) > 100"
    assert made["QueueDepth"]["for"] == "60s"
    assert made["FewWorkers"]["expr"] == "sum(process_workers) < 2"
    assert "offset 300s" in made["SlowerOrders"]["expr"]
    assert not any("Process" in name for name in made)


def test_the_selector_scopes_every_series():
    text = render_rules(SLOS, service="orders", selector='namespace="shop",app="orders"')

    assert 'job="orders"' not in text
    for rule in yaml.safe_load(text)["groups"][0]["rules"][:7]:
        assert 'namespace="shop",app="orders"' in rule["expr"]


def test_a_service_with_a_quote_in_its_name_stays_one_name():
    document = yaml.safe_load(render_rules(SLOS[:1], service='or"ders'))

    assert 'job="or\\"ders"' in document["groups"][0]["rules"][0]["expr"]


def test_two_promises_of_one_name_are_refused():
    with pytest.raises(InvalidArgumentError, match="'availability'"):
        render_rules([SLO("availability"), SLO("availability")], service="orders")


# -- Alertmanager -------------------------------------------------------------------------


def routes(**options):
    return yaml.safe_load(
        render_alertmanager(
            page_url="https://page.example/x", ticket_url="https://ticket.example/x", **options
        )
    )


def test_every_route_has_its_receiver():
    document = routes(dead_man_url="https://dead.example/x", service="orders")
    receivers = {each["name"] for each in document["receivers"]}

    assert {route["receiver"] for route in document["route"]["routes"]} == receivers
    assert document["route"]["receiver"] in receivers
    assert all('service="orders"' in route["matchers"] for route in document["route"]["routes"])


def test_pages_come_sooner_and_again_more_often_than_tickets():
    by_name = {route["receiver"]: route for route in routes()["route"]["routes"]}

    assert (by_name["page"]["group_wait"], by_name["page"]["repeat_interval"]) == ("30s", "1h")
    assert (by_name["ticket"]["group_wait"], by_name["ticket"]["repeat_interval"]) == ("5m", "24h")


def test_without_an_address_the_switch_is_silent():
    document = routes()

    assert "dead-man" not in {each["name"] for each in document["receivers"]}
    assert document["receivers"][0] == {"name": "none"}


def test_an_address_that_is_none_is_refused():
    with pytest.raises(InvalidArgumentError, match="'page'"):
        render_alertmanager(page_url="mailto:x", ticket_url="https://t.example")


# -- Grafana --------------------------------------------------------------------------------


def test_the_dashboard_is_json_that_grafana_reads():
    import json

    board = json.loads(render_dashboard(SLOS, service="orders"))

    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["type"] in {"row", "timeseries"} for panel in board["panels"])
    assert board["templating"]["list"][0]["type"] == "datasource"


def test_panels_lie_on_the_grid_without_overlap():
    taken = set()
    for panel in dashboard(SLOS, service="orders")["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_each_promise_has_its_row():
    titles = [
        panel["title"] for panel in dashboard(SLOS, service="orders")["panels"] if panel["type"] == "row"
    ]

    assert "SLO availability: 99.9 % over 30d" in titles
    assert titles[0] == "Requests"
