"""A Grafana dashboard from the same SLOs that alert."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from shared.monitoring._exposition import escape
from shared.monitoring._slo import SLO

_HTTP: Final = "http_server_request_duration_seconds"
_WIDTH: Final = 24  # columns of Grafana's grid
_HEIGHT: Final = 8
_SCHEMA: Final = 39  # of Grafana 11; newer ones migrate it

#: A row: title, then panels: title, unit, and expressions with their legends.
_Panel = tuple[str, str, tuple[tuple[str, str], ...]]


def render_dashboard(slos: Iterable[SLO], *, service: str, selector: str = "") -> str:
    """Return the dashboard of a service as JSON for Grafana's import.

    Rows: requests (rate, errors, duration by route), every SLO (budget left, burn
    rate), database pool, cache, resilience, jobs, AI, process.

    Args:
        slos: The promises.
        service: Name of the service.
        selector: What selects its series; ``job="<service>"`` when empty.

    Example:
        >>> board = json.loads(render_dashboard([SLO("orders")], service="orders"))
        >>> board["title"], board["uid"]
        ('orders', 'shared-orders')
    """
    return json.dumps(dashboard(slos, service=service, selector=selector), indent=2) + "\n"


def dashboard(slos: Iterable[SLO], *, service: str, selector: str = "") -> dict[str, Any]:
    """Return the same as plain values; see :func:`render_dashboard`."""
    where = selector or f'job="{escape(service)}"'
    rows = [
        ("Requests", _requests(where)),
        *((f"SLO {slo.name}: {slo.percent:f} % over {slo.window}", _promise(slo, service)) for slo in slos),
        *_rooms(where),
    ]
    panels: list[dict[str, Any]] = []
    top = 0
    for title, specs in rows:
        panels.append(_row(len(panels) + 1, title, top))
        top += 1
        width = _WIDTH // min(3, len(specs))
        for index, spec in enumerate(specs):
            left, down = index % 3 * width, index // 3 * _HEIGHT
            panels.append(_graph(len(panels) + 1, spec, (left, top + down, width)))
        top += -(-len(specs) // 3) * _HEIGHT
    return {
        "uid": f"shared-{service}"[:40],
        "title": service,
        "tags": ["shared", service],
        "timezone": "utc",
        "refresh": "30s",
        "schemaVersion": _SCHEMA,
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
            ]
        },
        "panels": panels,
    }


def _requests(where: str) -> list[_Panel]:
    rate = f"rate({_HTTP}_count{{{where}}}[$__rate_interval])"
    bad = f'rate({_HTTP}_count{{{where},http_response_status_code=~"5.."}}[$__rate_interval])'
    quantiles = tuple((_quantile(_HTTP, q, "", where), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99))
    status = "http_response_status_code"
    return [
        ("Requests by route", "reqps", ((f"sum by (http_route) ({rate})", "{{http_route}}"),)),
        ("Errors", "percentunit", ((f"(sum({bad}) or vector(0)) / sum({rate})", "5xx"),)),
        ("Duration", "s", quantiles),
        ("p95 by route", "s", ((_quantile(_HTTP, 0.95, "http_route", where), "{{http_route}}"),)),
        ("Status codes", "reqps", ((f"sum by ({status}) ({rate})", "{{http_response_status_code}}"),)),
        ("Under way", "short", ((f"sum(http_server_active_requests{{{where}}})", "requests"),)),
    ]


def _promise(slo: SLO, service: str) -> list[_Panel]:
    chosen = f'sloth_service="{escape(service)}",sloth_slo="{escape(slo.name)}"'
    burn = tuple(
        (f"slo:sli_error:ratio_rate{window}{{{chosen}}} / {slo.budget:f}", window)
        for window in ("5m", "1h", "6h")
    )
    left = f"slo:period_error_budget_remaining:ratio{{{chosen}}}"
    return [("Budget left", "percentunit", ((left, "left"),)), ("Burn rate", "short", burn)]


def _rooms(where: str) -> list[tuple[str, list[_Panel]]]:
    def rate(metric: str, *by: str, more: str = "") -> str:
        grouped = f" by ({', '.join(by)})" if by else ""
        return f"sum{grouped} (rate({metric}{{{where}{more}}}[$__rate_interval]))"

    def p95(metric: str, by: str) -> str:
        return _quantile(metric, 0.95, by, where)

    def plain(metric: str, legend: str = "{{instance}}") -> tuple[tuple[str, str], ...]:
        return ((f"{metric}{{{where}}}", legend),)

    hits = rate("cache_lookups_total", "cache_name", more=',cache_result=~"hit|stale"')
    connections = f"sum by (db_client_connection_state) (db_client_connection_count{{{where}}})"
    limit = f"sum(db_client_connection_max{{{where}}})"
    breakers = f"max by (circuit_breaker_name) (circuit_breaker_state{{{where}}})"
    flag, variant = "feature_flag_key", "feature_flag_result_variant"
    model = "gen_ai_request_model"
    pool: _Panel = (
        "Connections", "short", ((connections, "{{db_client_connection_state}}"), (limit, "limit")),
    )  # fmt: skip
    return [
        ("Database", [
            pool,
            _panel("p95 by operation", "s", p95("db_client_operation_duration_seconds", "db_operation_name")),
            _panel("Slow operations", "ops", rate("db_client_slow_operations_total"), "slow"),
        ]),
        ("Cache and resilience", [
            _panel("Hit rate", "percentunit", f"{hits} / {rate('cache_lookups_total', 'cache_name')}"),
            _panel("Breakers (0 closed, 1 half open, 2 open)", "short", breakers),
            _panel("Retries", "ops", rate("retry_attempts_total", "name", "outcome")),
        ]),
        ("Jobs and flags", [
            _panel("Runs", "ops", rate("job_runs_total", "job_name", "outcome")),
            _panel("p95 of runs", "s", p95("job_duration_seconds", "job_name")),
            _panel("Flag evaluations", "ops", rate("feature_flag_evaluations_total", flag, variant)),
        ]),
        ("AI", [
            _panel("p95 by model", "s", p95("gen_ai_client_operation_duration_seconds", model)),
            _panel("Tokens", "short", rate("gen_ai_client_token_usage_sum", "gen_ai_token_type")),
            _panel("Cost per hour", "currencyUSD", f"3600 * {rate('gen_ai_client_cost_usd_total', model)}"),
        ]),
        ("Process", [
            _panel("CPU", "percentunit", rate("process_cpu_seconds_total", "instance")),
            ("Memory", "bytes", plain("process_resident_memory_bytes")),
            ("Event loop lag", "s", plain("asyncio_event_loop_lag_seconds")),
            ("Open files", "short", plain("process_open_fds")),
            ("Workers", "short", plain("process_workers")),
            ("Health (0 healthy, 1 degraded, 2 unhealthy)", "short", plain("service_health_status")),
        ]),
    ]  # fmt: skip


def _panel(title: str, unit: str, expression: str, legend: str = "") -> _Panel:
    """Return a panel with one expression; its legend names what the expression groups by."""
    return title, unit, ((expression, legend or _legend(expression)),)


def _legend(expression: str) -> str:
    match = re.search(r"by \(([a-z_, ]+)\)", expression)
    names = [name for name in match[1].split(", ") if name != "le"] if match else []
    return " ".join(f"{{{{{name}}}}}" for name in names)


def _quantile(metric: str, part: float, by: str, where: str) -> str:
    grouped = f"le, {by}" if by else "le"
    rate = f"rate({metric}_bucket{{{where}}}[$__rate_interval])"
    return f"histogram_quantile({part:g}, sum by ({grouped}) ({rate}))"


def _row(number: int, title: str, top: int) -> dict[str, Any]:
    grid = {"h": 1, "w": _WIDTH, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": grid, "panels": []}


def _graph(number: int, spec: _Panel, place: tuple[int, int, int]) -> dict[str, Any]:
    title, unit, expressions = spec
    left, top, width = place
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"h": _HEIGHT, "w": width, "x": left, "y": top},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": expression, "legendFormat": legend, "datasource": source}
            for index, (expression, legend) in enumerate(expressions)
        ],
    }
