"""Beside Sentry's SDK, of which the part we use stands in here."""

import sys
from types import ModuleType

import pytest

from shared.config import override_settings
from shared.errors import MissingDependencyError
from shared.monitoring import ErrorTracker, SentryReporter, get_error_tracker, scrub_sentry_event
from shared.runtime import Runtime, use

DSN = "https://public-key@errors.example/7"


class Sdk(ModuleType):
    """``sentry_sdk`` as far as it is called: is_initialized, capture_event, Client."""

    def __init__(self, *, initialised=False):
        super().__init__("sentry_sdk")
        self.initialised, self.made, self.captured, self.closed = initialised, [], [], 0
        sdk = self

        class Client:
            def __init__(self, **options):
                sdk.made.append(options)

            def capture_event(self, event, hint=None):
                sdk.captured.append(("own", event, hint))

            def close(self):
                sdk.closed += 1

        self.Client = Client

    def is_initialized(self):
        return self.initialised

    def capture_event(self, event, hint=None):
        self.captured.append(("global", event, hint))


@pytest.fixture
def sdk(monkeypatch):
    made = Sdk()
    monkeypatch.setitem(sys.modules, "sentry_sdk", made)
    return made


def failed():
    try:
        try:
            raise KeyError("inner")
        except KeyError as exc:
            raise ValueError("outer redis://:hunter2-pw@cache") from exc
    except ValueError as exc:
        return exc


def test_a_client_of_our_own_collects_nothing_by_itself(sdk):
    reporter = SentryReporter(DSN, service="orders", version="2.3.1", environment="production")
    reporter.close()

    [options] = sdk.made
    assert (options["dsn"], options["release"], options["environment"]) == (DSN, "2.3.1", "production")
    assert not any(
        options[name]
        for name in (
            "default_integrations",
            "auto_enabling_integrations",
            "include_local_variables",
            "send_default_pii",
        )
    )
    assert sdk.closed == 1


def test_a_report_becomes_an_event_without_variables_and_secrets(sdk):
    error = failed()
    ErrorTracker([SentryReporter(DSN, service="orders")]).capture(error, order="o-1", password="hunter3-pw")

    [(where, event, hint)] = sdk.captured
    inner, outer = event["exception"]["values"]
    assert where == "own"
    assert (inner["type"], outer["type"], event["level"]) == ("KeyError", "ValueError", "error")
    assert outer["stacktrace"]["frames"][-1]["function"] == "failed"
    assert all("vars" not in frame for frame in outer["stacktrace"]["frames"])
    assert "hunter2-pw" not in repr(event)
    assert "hunter3-pw" not in repr(event)
    assert event["extra"]["order"] == "o-1"
    assert event["tags"]["service"] == "orders"
    assert len(event["fingerprint"]) == 1
    assert hint["exc_info"][1] is error


def test_the_trace_of_the_request_is_the_events(sdk):
    from shared.context import TraceContext, request_context

    trace = TraceContext.new()
    with request_context(trace=trace):
        ErrorTracker([SentryReporter(DSN)]).capture(failed())

    assert sdk.captured[0][1]["contexts"] == {"trace": {"trace_id": trace.trace_id, "span_id": trace.span_id}}


def test_where_the_service_uses_sentry_itself_its_client_is_used(sdk):
    sdk.initialised = True
    reporter = SentryReporter()
    ErrorTracker([reporter]).capture(failed(), handled=True)
    reporter.close()

    [(where, event, _)] = sdk.captured
    assert (where, event["level"], sdk.made, sdk.closed) == ("global", "warning", [], 0)


def test_the_settings_make_the_runtimes_tracker_report(sdk):
    with use(Runtime("test")) as runtime, override_settings(SENTRY_DSN=DSN, SERVICE_NAME="orders"):
        told = get_error_tracker().capture(failed())
        runtime.close()

    assert told
    assert sdk.made[0]["dsn"] == DSN
    assert sdk.closed == 1


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[sentry\]"):
        SentryReporter(DSN)


def test_what_sentrys_own_integrations_collect_is_scrubbed():
    event = {
        "request": {
            "url": "https://api.example/pay?token=hunter4-pw",
            "headers": {"Authorization": "Bearer hunter5-pw", "Accept": "*/*"},
            "cookies": {"session": "hunter6-pw"},
            "data": {"card": "4111"},
            "query_string": "token=hunter4-pw",
            "env": {"REMOTE_ADDR": "1.2.3.4"},
        },
        "exception": {
            "values": [
                {
                    "type": "ValueError",
                    "value": "postgresql://a:hunter7-pw@db",
                    "stacktrace": {"frames": [{"function": "f", "vars": {"password": "hunter8-pw"}}, "odd"]},
                },
                "odd",
            ]
        },
        "threads": {"values": [{"id": 1, "stacktrace": None}]},
        "extra": {"api_key": "hunter9-pw"},
    }
    before = repr(event)

    scrubbed = scrub_sentry_event(event, {})

    assert "hunter" not in repr({**scrubbed, "request": {**scrubbed["request"], "url": ""}})
    assert set(scrubbed["request"]) == {"url", "headers"}
    assert scrubbed["exception"]["values"][0]["stacktrace"]["frames"][0] == {"function": "f"}
    assert repr(event) == before


@pytest.mark.parametrize("event", [{}, {"request": None}, {"exception": {"values": None}}, {"threads": "x"}])
def test_an_event_of_another_shape_passes(event):
    scrub_sentry_event(event)
