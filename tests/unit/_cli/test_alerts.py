import json

import pytest
import yaml


def test_all_three_files_are_printed_by_default(shared):
    code, out, _ = shared("alerts", "render", "--service", "orders")

    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("# ----")] == [
        "# ---- rules.yml",
        "# ---- alertmanager.yml",
        "# ---- dashboard.json",
    ]


def test_one_file_is_printed_as_it_is(shared):
    _, out, _ = shared("alerts", "render", "--service", "orders", "--only", "rules")

    names = [group["name"] for group in yaml.safe_load(out)["groups"]]
    assert "slo-availability-recordings" in names
    assert "slo-latency-200ms-recordings" in names


def test_objectives_and_thresholds_can_be_given(shared):
    _, out, _ = shared(
        "alerts", "render", "--service", "o", "--only", "rules", "--objective", "99.5",
        "--latency", "0.1=90", "--latency", "1=99.9", "--window", "28d",
    )  # fmt: skip

    assert "slo-latency-100ms-alerts" in out
    assert "slo-latency-1000ms-alerts" in out
    assert "ratio_rate28d" in out


def test_the_service_comes_from_the_settings(shared, monkeypatch):
    monkeypatch.setenv("SERVICE_NAME", "billing")
    _, out, _ = shared("alerts", "render", "--only", "rules")

    assert 'job="billing"' in out


def test_the_services_own_objects_are_rendered(shared, tmp_path, monkeypatch):
    (tmp_path / "own_promises.py").write_text(
        "from shared.monitoring import SLO, ThresholdAlert\n"
        "def promises():\n"
        "    return [SLO('checkout', objective=99), ThresholdAlert('q', lambda: 1, above=5, promql='max(x)')]\n"
        "SLOS = promises()\n"
        "WRONG = 7\n"
        "MIXED = [SLO('a'), 'b']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("own_promises:promises", "own_promises:SLOS", "own_promises"):
        _, out, _ = shared("alerts", "render", "--service", "o", "--only", "rules", "--slos", name)
        assert "slo-checkout-alerts" in out
        assert "max(x) > 5" in out

    for name, message in (
        ("own_promises:WRONG", "no list"),
        ("own_promises:MIXED", "str, which is neither"),
        ("own_promises:absent", "cannot load"),
        ("no_such_module:x", "cannot load"),
        (":x", "cannot load"),
    ):
        code, _, err = shared("alerts", "render", "--service", "o", "--slos", name)
        assert (code, message in err) == (2, True), err


def test_files_are_written_and_checked(shared, tmp_path):
    wrote = shared("alerts", "render", "--service", "orders", "--output", "generated")
    same = shared("alerts", "render", "--service", "orders", "--check", "generated")
    other = shared("alerts", "render", "--service", "orders", "--check", "generated", "--objective", "99.95")

    assert [wrote[0], same[0], other[0]] == [0, 0, 1]
    assert (tmp_path / "generated" / "rules.yml").is_file()
    assert "+" in other[1]
    assert "differ" in other[1]


def test_a_missing_file_differs(shared):
    code, out, _ = shared(
        "alerts", "render", "--service", "orders", "--only", "grafana", "--check", "nowhere"
    )

    assert code == 1
    assert "1 file differ" in out


def test_json_holds_the_documents(shared):
    _, out, _ = shared("alerts", "render", "--service", "orders", "--json")

    assert sorted(json.loads(out)) == ["alertmanager.yml", "dashboard.json", "rules.yml"]


def test_addresses_reach_the_routes(shared):
    _, out, _ = shared(
        "alerts", "render", "--service", "o", "--only", "alertmanager",
        "--page-url", "https://p.example", "--dead-man-url", "https://d.example",
    )  # fmt: skip

    urls = [c["url"] for r in yaml.safe_load(out)["receivers"] for c in r.get("webhook_configs", [])]
    assert urls == [
        "https://p.example",
        "https://alerts.invalid/ticket",
        "https://alerts.invalid/ticket",
        "https://d.example",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--objective", "101"],
        ["--objective", "many"],
        ["--latency", "0.2"],
        ["--latency", "fast=95"],
        ["--latency", "0.3=95"],
        ["--latency", "0.2=x"],
        ["--window", "soon"],
        ["--page-url", "mailto:x"],
        ["--only", "nothing"],
    ],
)
def test_wrong_arguments_are_exit_code_2(shared, arguments):
    code, _, err = shared("alerts", "render", "--service", "o", *arguments)

    assert code == 2
    assert "error" in err
