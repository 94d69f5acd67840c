"""Prometheus itself judges the rules: it loads them, and they fire when they should and not otherwise."""

import json

import yaml

from shared.monitoring import (
    SLO,
    DegradationAlert,
    ThresholdAlert,
    latency,
    render_dashboard,
    render_rules,
    task_success,
)

SLOS = [
    SLO("availability", objective=99.9),
    SLO("latency", objective=95, sli=latency(0.2)),
    SLO("receipts", objective="99.5", sli=task_success("send_receipt"), window="28d"),
]
OWN = [
    ThresholdAlert("queue depth", lambda: 1, above=100, promql='max(job_queue_depth{job="orders"})', wait=60),
    DegradationAlert("slower orders", recent=300, baseline=3600),
]
COUNT = "http_server_request_duration_seconds_count"
BUCKET = "http_server_request_duration_seconds_bucket"


def labels(status="200", route="/a"):
    return f'job="orders",instance="i",http_request_method="GET",http_route="{route}",http_response_status_code="{status}"'


def series(name, values):
    return {"series": name, "values": values}


def check(promtool, tmp_path, inputs, tests, *, slos=SLOS, defaults=True):
    (tmp_path / "rules.yml").write_text(render_rules(slos, service="orders", alerts=OWN, defaults=defaults))
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": inputs, **tests}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    if promtool is None:
        return
    done = promtool("test", "rules", "test.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def fires(name, at):
    return {
        "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
        "eval_time": at,
        "exp_samples": [{"labels": "{}", "value": 1}],
    }


def quiet(name, at):
    return {
        "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
        "eval_time": at,
        "exp_samples": [],
    }


def test_prometheus_loads_every_rule(promtool, tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(render_rules(SLOS, service="orders", alerts=OWN))
    if promtool is None:
        return

    done = promtool("check", "rules", path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_prometheus_understands_every_expression_of_the_dashboard(promtool, tmp_path):
    board = json.loads(render_dashboard(SLOS, service="orders"))
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions)
    ]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    if promtool is None:
        return

    done = promtool("check", "rules", path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(expressions)} rules found" in done.stdout


def test_a_service_that_never_failed_has_the_ratio_zero_and_no_alert(promtool, tmp_path):
    tests = {
        "promql_expr_test": [
            {
                "expr": "slo:sli_error:ratio_rate5m",
                "eval_time": "60m",
                "exp_samples": [
                    {
                        "labels": 'slo:sli_error:ratio_rate5m{sloth_id="orders-availability",sloth_service="orders",'
                        'sloth_slo="availability",sloth_window="5m"}',
                        "value": 0,
                    }
                ],
            },
            quiet("AvailabilityBudgetBurnPage", "60m"),
            quiet("AvailabilityBudgetBurnTicket", "60m"),
        ],
    }

    check(promtool, tmp_path, [series(f"{COUNT}{{{labels()}}}", "0+600x120")], tests, slos=SLOS[:1])


def test_an_outage_pages_once_while_it_lasts_and_not_for_long_after(promtool, tmp_path):
    inputs = [
        series(f"{COUNT}{{{labels()}}}", "0+600x60 36000+300x20 42000+600x400"),
        # Born at zero, as declare_route() makes it: rate() sees the first error.
        series(f"{COUNT}{{{labels('500')}}}", "0+0x60 0+300x20 6000+0x400"),
    ]
    page = "AvailabilityBudgetBurnPage"

    check(
        promtool,
        tmp_path,
        inputs,
        {"promql_expr_test": [quiet(page, "59m"), fires(page, "70m"), quiet(page, "4h")]},
    )


def test_answers_that_are_too_slow_burn_the_latency_budget(promtool, tmp_path):
    inputs = [
        series(f"{COUNT}{{{labels()}}}", "0+600x180"),
        series(f'{BUCKET}{{{labels()},le="0.2"}}', "0+600x60 36000+60x120"),
    ]

    check(
        promtool,
        tmp_path,
        inputs,
        {"promql_expr_test": [quiet("LatencyBudgetBurnPage", "59m"), fires("LatencyBudgetBurnPage", "2h")]},
    )


def test_the_alerts_of_every_service_fire_when_they_should(promtool, tmp_path):
    here = 'job="orders",instance="i"'
    inputs = [
        series(f"up{{{here}}}", "1x30 0x30"),
        series(f"service_ready{{{here}}}", "1x10 0x10 1x40"),
        series(f"service_health_status{{{here}}}", "0x10 2x10 0x40"),
        series(f'feature_flag_changes_total{{{here},feature_flag_key="beta"}}', "0x10 1x50"),
        series(f'circuit_breaker_state{{{here},circuit_breaker_name="payments"}}', "0x10 2x20 0x30"),
        series(
            f'db_client_connection_count{{{here},db_client_connection_pool_name="main",db_client_connection_state="used"}}',
            "1x10 10x50",
        ),
        series(f'db_client_connection_max{{{here},db_client_connection_pool_name="main"}}', "10x60"),
        series(f"container_memory_working_set_bytes{{{here}}}", "95x60"),
        series(f"container_memory_limit_bytes{{{here}}}", "100x60"),
        series('job_queue_depth{job="orders",queue="default"}', "5x10 500x50"),
    ]
    checks = [
        quiet("OrdersDown", "20m"),
        fires("OrdersDown", "40m"),
        fires("OrdersNotReady", "15m"),
        fires("OrdersUnhealthy", "15m"),
        quiet("OrdersUnhealthy", "25m"),
        fires("OrdersFlagChanged", "12m"),
        quiet("OrdersFlagChanged", "25m"),
        fires("OrdersBreakerOpen", "15m"),
        fires("OrdersPoolExhausted", "20m"),
        fires("OrdersMemoryShort", "10m"),
        fires("OrdersDeadMansSwitch", "1m"),
        quiet("QueueDepth", "9m"),
        fires("QueueDepth", "15m"),
    ]

    check(promtool, tmp_path, inputs, {"promql_expr_test": checks})


def test_a_service_nobody_scrapes_is_down(promtool, tmp_path):
    check(
        promtool,
        tmp_path,
        [series('up{job="other"}', "1x30")],
        {"promql_expr_test": [fires("OrdersDown", "10m")]},
    )


def test_a_percentile_that_doubles_is_noticed(promtool, tmp_path):
    fast, slow = "0+600x120 72000+60x20", "0+600x140"
    inputs = [
        series(f'{BUCKET}{{{labels()},le="0.1"}}', fast),
        series(f'{BUCKET}{{{labels()},le="0.5"}}', slow),
        series(f'{BUCKET}{{{labels()},le="+Inf"}}', slow),
    ]

    check(
        promtool,
        tmp_path,
        inputs,
        {"promql_expr_test": [quiet("SlowerOrders", "115m"), fires("SlowerOrders", "128m")]},
    )
