"""Changes that are told to others: in order, signed, and never in the way of evaluation."""

import threading

import pytest

from shared.errors import ExternalServiceError
from shared.feature_flags import Flag, FlagChangeNotifier, FlagDocument, Flags
from shared.runtime import Events


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def flags(events):
    return Flags([Flag("beta")], events=events)


def change(flags, revision, **fields):
    flags.swap(FlagDocument({"beta": Flag("beta", rollout=revision)}, revision=revision), **fields)


def test_every_change_is_told_in_order(flags, events):
    told = []
    notifier = FlagChangeNotifier(told.append, service="orders", events=events, clock=lambda: 5.0)

    for revision in (1, 2, 3):
        change(flags, revision, actor="ada", reason="why")
    notifier.close(30)

    assert [notice.details["revision"] for notice in told] == [1, 2, 3]
    assert told[0].details | {"at": told[0].at} == {
        "flags": ["beta"], "revision": 1, "actor": "ada", "reason": "why", "service": "orders", "at": 5.0,
    }  # fmt: skip


def test_what_fails_is_tried_again_and_then_left_out(flags, events):
    told, pauses = [], []

    def fail(notice):
        told.append(notice.details["revision"])
        if notice.details["revision"] == 1:
            raise ExternalServiceError("away")

    def sleep(seconds):
        pauses.append(seconds)
        return False

    notifier = FlagChangeNotifier(fail, events=events, sleep=sleep)
    change(flags, 1)
    change(flags, 2)
    notifier.close(30)

    assert (told, pauses) == ([1, 1, 1, 2], [1.0, 5.0])


def test_a_notifier_that_hangs_does_not_hold_up_anybody(flags, events):
    go_on, begun = threading.Event(), threading.Event()

    def hang(notice):
        begun.set()
        go_on.wait(30)

    notifier = FlagChangeNotifier(hang, events=events)
    change(flags, 1)
    assert begun.wait(30)
    change(flags, 2)

    assert flags.snapshot.revision == 2
    go_on.set()
    notifier.close(30)


def test_only_the_leader_tells(flags, events):
    class Follower:
        def acquire(self):
            return False

    told = []
    notifier = FlagChangeNotifier(told.append, leader=Follower(), events=events)
    change(flags, 1)
    notifier.close(30)

    assert told == []


def test_nothing_is_told_after_the_end(flags, events):
    told = []
    notifier = FlagChangeNotifier(told.append, events=events)
    notifier.close()
    notifier.close()

    change(flags, 1)

    assert told == []


def test_the_webhook_is_signed(flags, events):
    """Received by a real server, and checked as a receiver does."""
    import http.server

    from shared.monitoring import WebhookNotifier
    from shared.security import verify_webhook

    received, arrived = [], threading.Event()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802 - the library's name
            received.append((self.rfile.read(int(self.headers["content-length"])), dict(self.headers)))
            self.send_response(204)
            self.end_headers()
            arrived.set()

        def log_message(self, *args):
            pass

    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="  # noqa: S105
    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/hook"
        notifier = FlagChangeNotifier(WebhookNotifier(url, secret=secret, timeout=30.0), events=events)
        change(flags, 1, actor="ada")
        assert arrived.wait(30)
        notifier.close(30)
        server.shutdown()
        thread.join(30)

    ((body, headers),) = received
    event = verify_webhook("standard", body, headers, secret)
    assert b'"flags changed by ada: beta"' in body
    assert event is not None
