"""The mailer itself: limits, rate, telling, and the backends that need no server."""

import asyncio
import email
import io
import os
import stat

import pytest

from shared.cache import RateLimiter
from shared.config import EmailSettings, override_settings
from shared.errors import (
    ConfigurationError,
    EmailError,
    InvalidArgumentError,
    PayloadTooLargeError,
    ValidationError,
)
from shared.integrations.email import (
    Address,
    AsyncMailer,
    Attachment,
    ConsoleBackend,
    EmailFailed,
    EmailMessage,
    EmailSent,
    FileBackend,
    Letter,
    Mailer,
    MemoryBackend,
    SendGridBackend,
    SmtpBackend,
    asend_email,
    backend_from_settings,
    get_async_mailer,
    get_mailer,
    measure_email,
    send_email,
)
from shared.monitoring import Metrics
from shared.resilience import Policy
from shared.runtime import Events, Runtime, use
from tests.unit.integrations.email._both import BOTH

MESSAGE = EmailMessage("ada@example.com", "Hello", text="Hello Ada", category="greeting")


class Broken(MemoryBackend):
    """Loses every letter."""

    name = "smtp"

    def deliver(self, letter):
        raise EmailError("the mail server cannot be reached", details={"accepted": False})


@pytest.fixture(params=list(BOTH))
def kind(request):
    return BOTH[request.param]


def test_a_message_of_the_largest_size_passes_and_one_byte_more_does_not(kind):
    size = len(Letter.of(MESSAGE, Address("s@example.com"), "<0@example.com>").content)
    options = {"sender": "s@example.com", "new_id": lambda: "0", "clock": lambda: 0.0}

    kind(MemoryBackend(), max_bytes=size, **options).send(MESSAGE)
    with pytest.raises(PayloadTooLargeError, match=f"a message of {size} bytes, at most {size - 1} are sent"):
        kind(MemoryBackend(), max_bytes=size - 1, **options).send(MESSAGE)


def test_attachments_count_as_they_travel(kind):
    message = MESSAGE.with_changes(attachments=[Attachment("a.bin", b"x" * 9000)])

    with pytest.raises(PayloadTooLargeError):
        kind(MemoryBackend(), max_bytes=10_000).send(message)


def test_a_network_needs_a_sender(kind):
    with pytest.raises(ConfigurationError, match="set EMAIL_FROM"):
        kind(SmtpBackend("127.0.0.1", 9, tls="none")).send(MESSAGE)


def test_the_message_s_own_sender_wins(kind):
    outbox = MemoryBackend()

    kind(outbox, sender="shop@example.com").send(MESSAGE.with_changes(sender="Billing <b@example.org>"))

    assert outbox.letters[0].sender == Address("b@example.org", "Billing")
    assert outbox.letters[0].message_id.endswith("@example.org>")


def test_what_is_no_message_is_refused(kind):
    with pytest.raises(ValidationError, match="an EmailMessage expected, got str"):
        kind(MemoryBackend()).send("hello")


def test_a_bulk_keeps_to_its_rate(kind):
    now, waits = [1000.0], []

    from shared.cache import MemoryRateLimits

    limiter = RateLimiter("mail", "2/second", store=MemoryRateLimits(clock=lambda: now[0]))

    def sleep(seconds):
        waits.append(seconds)
        now[0] += seconds

    async def asleep(seconds):
        sleep(seconds)

    outbox = MemoryBackend()
    report = kind(outbox).send_many(
        [MESSAGE] * 5, rate=limiter, sleep=sleep if kind is BOTH["threads"] else asleep
    )

    assert report.is_complete
    assert len(outbox) == 5
    assert sum(waits) == pytest.approx(2.0, abs=0.1)


def test_a_rate_that_admits_nothing_is_an_error_and_not_a_wait_for_ever(kind):
    with pytest.raises(InvalidArgumentError):
        kind(MemoryBackend()).send_many([MESSAGE], rate="0/second")


def test_progress_is_told_after_each_message(kind):
    seen = []

    kind(MemoryBackend()).send_many(
        [MESSAGE] * 3, on_progress=lambda p: seen.append((p.done, p.total, p.last.status))
    )

    assert seen == [(1, 3, "sent"), (2, 3, "sent"), (3, 3, "sent")]


def test_messages_may_come_one_by_one(kind):
    seen = []

    report = kind(MemoryBackend()).send_many((MESSAGE for _ in range(2)), on_progress=seen.append)

    assert [each.total for each in seen] == [None, None]
    assert report.counts == {"sent": 2}


def test_a_message_that_is_none_does_not_stop_the_others(kind):
    report = kind(MemoryBackend()).send_many([MESSAGE, "nonsense", MESSAGE])

    assert [each.status for each in report.results] == ["sent", "failed", "sent"]


def test_what_happened_is_told_without_personal_data(kind, log_capture):
    events, seen = Events(), []
    events.subscribe(EmailSent, seen.append)
    events.subscribe(EmailFailed, seen.append)

    kind(MemoryBackend(), events=events).send(MESSAGE)
    with pytest.raises(EmailError):
        kind(Broken(), sender="s@example.com", events=events, policy=Policy("email")).send(MESSAGE)

    assert [type(each).__name__ for each in seen] == ["EmailSent", "EmailFailed"]
    assert seen[1].accepted is False
    told = repr(seen) + repr(log_capture)
    assert "ada" not in told
    assert "Hello" not in told
    assert [each["event"] for each in log_capture] == ["e-mail sent", "e-mail not sent"]
    assert log_capture[0]["category"] == "greeting"


def test_metrics_count_messages_and_recipients():
    events, metrics = Events(), Metrics()
    stop = measure_email(metrics, events)
    Mailer(MemoryBackend(), events=events).send(MESSAGE)
    with pytest.raises(EmailError):
        Mailer(Broken(), sender="s@example.com", events=events, policy=Policy("email")).send(MESSAGE)
    stop()
    Mailer(MemoryBackend(), events=events).send(MESSAGE)

    assert metrics.value("email_messages_total", {"backend": "memory", "outcome": "sent"}) == 1.0
    assert metrics.value("email_messages_total", {"backend": "smtp", "outcome": "failed"}) == 1.0
    assert metrics.value("email_recipients_total", {"backend": "memory", "outcome": "accepted"}) == 1.0


def test_the_file_backend_writes_one_whole_readable_file_per_message(kind, tmp_path):
    kind(FileBackend(tmp_path / "mail")).send_many([MESSAGE, MESSAGE])

    files = sorted((tmp_path / "mail").iterdir())
    assert len(files) == 2
    assert {path.suffix for path in files} == {".eml"}
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert email.message_from_bytes(files[0].read_bytes())["To"] == "ada@example.com"


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(kind, tmp_path):
    (tmp_path / "mail").write_text("a file")

    with pytest.raises(EmailError, match="folder of the file backend cannot be written"):
        kind(FileBackend(tmp_path / "mail"), policy=Policy("email")).send(MESSAGE)


def test_the_console_shows_the_message(kind):
    stream = io.StringIO()

    kind(ConsoleBackend(stream)).send(MESSAGE.with_changes(bcc="eve@example.com", cc="c@example.com"))

    shown = stream.getvalue()
    assert "Bcc: eve@example.com" in shown
    assert "Subject: Hello" in shown
    assert "Hello Ada" in shown


def test_a_closed_console_is_an_error_of_ours(kind):
    stream = io.StringIO()
    stream.close()

    with pytest.raises(EmailError, match="the console cannot be written"):
        kind(ConsoleBackend(stream), policy=Policy("email")).send(MESSAGE)


def test_the_outbox_is_bounded_and_can_be_cleared():
    outbox = MemoryBackend(limit=2)
    mailer = Mailer(outbox)
    for number in range(3):
        mailer.send(MESSAGE.with_changes(subject=f"no {number}"))

    assert [each.subject for each in outbox.messages] == ["no 1", "no 2"]
    outbox.clear()
    assert len(outbox) == 0


def test_a_lock_left_held_by_a_fork_does_not_stop_the_child():
    outbox = MemoryBackend()
    outbox._lock.acquire()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            Mailer(outbox).send(MESSAGE)
            os.write(writer, b"sent")
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)

    assert os.read(reader, 10) == b"sent"
    os.close(reader)


# --- settings ----------------------------------------------------------------------------


def test_the_functions_use_the_mailer_of_the_runtime():
    with (
        use(Runtime("test")) as runtime,
        override_settings(EMAIL_BACKEND="memory", EMAIL_FROM="shop@example.com", EMAIL_FROM_NAME="Shop"),
    ):
        send_email("ada@example.com", "One", "text", html="<p>", sender="other@example.com")
        asyncio.run(asend_email("ada@example.com", "Two", "text", bcc="bob@example.com"))
        outbox = get_mailer().backend

        assert [each.subject for each in outbox.to("ada@example.com")] == ["One", "Two"]
        assert outbox.letters[1].sender == Address("shop@example.com", "Shop")
        assert get_async_mailer().backend is outbox
        runtime.close()


def test_templates_and_rate_come_from_the_settings(tmp_path):
    (tmp_path / "hi.subject.txt").write_text("Hi {{ name }}")
    (tmp_path / "hi.txt").write_text("Hi")

    with (
        use(Runtime("test")) as runtime,
        override_settings(
            EMAIL_BACKEND="memory",
            EMAIL_TEMPLATE_DIR=str(tmp_path),
            EMAIL_BULK_RATE="100/second",
            EMAIL_MAX_BYTES=5000,
        ),
    ):
        get_mailer().send_template("hi", "ada@example.com", {"name": "Ada"})
        with pytest.raises(PayloadTooLargeError):
            send_email("ada@example.com", "big", "x" * 6000)

        assert get_mailer().backend.last.subject == "Hi Ada"
        runtime.close()


def test_metrics_are_fed_when_they_are_on():
    from shared.monitoring import get_metrics

    with use(Runtime("test")) as runtime, override_settings(EMAIL_BACKEND="memory", METRICS_ENABLED=True):
        send_email("ada@example.com", "One", "text")

        assert get_metrics().value("email_messages_total", {"backend": "memory", "outcome": "sent"}) == 1.0
        runtime.close()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"EMAIL_BACKEND": "memory"}, MemoryBackend),
        ({"EMAIL_BACKEND": "console"}, ConsoleBackend),
        ({"EMAIL_BACKEND": "file", "EMAIL_FILE_DIR": "x"}, FileBackend),
        ({"EMAIL_BACKEND": "smtp", "SMTP_HOST": "mail.example.com"}, SmtpBackend),
        ({"EMAIL_BACKEND": "sendgrid", "SENDGRID_API_KEY": "SG.x"}, SendGridBackend),
    ],
    ids=["memory", "console", "file", "smtp", "sendgrid"],
)
def test_the_settings_choose_the_backend(values, kind):
    assert type(backend_from_settings(EmailSettings(**values))) is kind


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"EMAIL_BACKEND": "smtp"}, "SMTP_HOST is not set"),
        ({"EMAIL_BACKEND": "sendgrid"}, "SENDGRID_API_KEY is not set"),
        ({"EMAIL_BACKEND": "smtp", "SMTP_HOST": "m", "SMTP_USERNAME": "u"}, "belong together"),
        (
            {
                "EMAIL_BACKEND": "smtp",
                "SMTP_HOST": "m",
                "SMTP_USERNAME": "u",
                "SMTP_PASSWORD": "p",
                "SMTP_TLS": "none",
            },
            "in the clear",
        ),
    ],
    ids=["no host", "no key", "half a login", "no tls"],
)
def test_a_setting_that_is_missing_is_named(values, message):
    with pytest.raises(ConfigurationError, match=message):
        backend_from_settings(EmailSettings(**values))


@pytest.mark.parametrize("options", [{"tls": "ssl"}, {"timeout": 0}, {"timeout": float("nan")}])
def test_a_value_out_of_range_is_refused(options):
    with pytest.raises(InvalidArgumentError):
        SmtpBackend("mail.example.com", **options)
    with pytest.raises(InvalidArgumentError):
        Mailer(MemoryBackend(), max_bytes=0)


def test_a_mailer_does_not_show_a_password():
    mailer = Mailer(SmtpBackend("mail.example.com", username="u", password="hunter2"))

    assert repr(mailer) == "<Mailer <SmtpBackend mail.example.com:587 starttls>>"


def test_the_fixture_catches_what_the_service_mails(shared_mail_outbox):
    send_email("ada@example.com", "Receipt", "Thank you.", category="receipt")

    assert shared_mail_outbox.last.category == "receipt"


async def test_the_fixture_catches_what_coroutines_mail(shared_mail_outbox):
    await asend_email("ada@example.com", "Receipt", "Thank you.")

    assert shared_mail_outbox.to("ADA@example.com")[0].subject == "Receipt"
    assert isinstance(get_async_mailer(), AsyncMailer)
