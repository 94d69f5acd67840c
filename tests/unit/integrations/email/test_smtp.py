"""Against a real mail server: what is handed over, what is refused, and what nobody knows."""

import asyncio
import socket
import time

import pytest

from shared.errors import ConfigurationError, DeadlineExceededError, EmailError, EmailRefusedError
from shared.integrations.email import EmailMessage, SmtpBackend
from shared.resilience import CircuitBreaker, Deadline, Policy
from tests.unit.integrations.email._both import BOTH

pytestmark = pytest.mark.parametrize("kind", list(BOTH))

MESSAGE = EmailMessage(
    ["ada@example.com", "bob@example.com"],
    "Grüße",
    text="Hello\n.\nthe dot stays",
    bcc="eve@example.com",
    category="greeting",
)


def plain(server, **options):
    return SmtpBackend("127.0.0.1", server.port, tls="none", timeout=10, **options)


def mailer(kind, backend, policy, **options):
    return BOTH[kind](backend, sender="shop@example.com", policy=policy, **options)


def test_a_message_reaches_the_server_with_all_recipients(kind, smtp_server, once):
    receipt = mailer(kind, plain(smtp_server), once).send(MESSAGE)

    sender, recipients, content = smtp_server.does.received[0]
    assert sender == "shop@example.com"
    assert recipients == ["ada@example.com", "bob@example.com", "eve@example.com"] == list(receipt.accepted)
    assert b"\r\n.\r\nthe dot stays" in content
    assert receipt.message_id.encode() in content


def test_bcc_is_in_no_header(kind, smtp_server, once):
    mailer(kind, plain(smtp_server), once).send(MESSAGE)

    assert b"eve@example.com" not in smtp_server.does.received[0][2]


def test_nothing_is_sent_when_one_recipient_is_refused(kind, smtp_server, thrice):
    smtp_server.does.rcpt["bob@example.com"] = ["550 5.1.1 <bob@example.com> is unknown"]

    with pytest.raises(EmailRefusedError, match=r"1 of 3 recipients was refused: 550 5\.1\.1") as caught:
        mailer(kind, plain(smtp_server), thrice).send(MESSAGE)

    assert smtp_server.does.received == []
    assert caught.value.refused == {"bob@example.com": "550 5.1.1"}
    assert "bob" not in str(caught.value) + str(caught.value.details)


def test_the_receipt_tells_who_was_refused_when_partial_is_allowed(kind, smtp_server, once):
    smtp_server.does.rcpt["bob@example.com"] = ["550 5.1.1 unknown"]

    receipt = mailer(kind, plain(smtp_server), once, allow_partial=True).send(MESSAGE)

    assert receipt.accepted == ("ada@example.com", "eve@example.com")
    assert {address: str(why) for address, why in receipt.refused.items()} == {"bob@example.com": "550 5.1.1"}
    assert len(smtp_server.does.received) == 1


def test_partial_with_nobody_left_is_refused(kind, smtp_server, once):
    smtp_server.does.rcpt = {name: ["550 no"] for name in MESSAGE.recipients}

    with pytest.raises(EmailRefusedError, match="3 of 3 recipients were refused"):
        mailer(kind, plain(smtp_server), once, allow_partial=True).send(MESSAGE)


def test_a_refusal_for_now_is_tried_again(kind, smtp_server, thrice):
    smtp_server.does.rcpt["bob@example.com"] = ["450 4.2.0 later", "250 ok"]

    mailer(kind, plain(smtp_server), thrice).send(MESSAGE)

    assert len(smtp_server.does.received) == 1


def test_a_full_server_is_tried_again_and_then_told(kind, smtp_server, thrice):
    smtp_server.does.data = ["452 4.3.1 full"] * 3

    with pytest.raises(EmailError, match=r"refused the message: 452 4\.3\.1, for now") as caught:
        mailer(kind, plain(smtp_server), thrice).send(MESSAGE)

    assert smtp_server.does.data == []
    assert caught.value.details["accepted"] is False


def test_a_refused_message_is_not_tried_again(kind, smtp_server, thrice):
    smtp_server.does.data = ["554 5.7.1 spam", "250 ok"]

    with pytest.raises(EmailRefusedError, match=r"refused the message: 554 5\.7\.1"):
        mailer(kind, plain(smtp_server), thrice).send(MESSAGE)

    assert smtp_server.does.data == ["250 ok"]


def test_a_refused_sender_is_told(kind, smtp_server, once):
    smtp_server.does.mail = "553 5.1.8 who are you"

    with pytest.raises(EmailRefusedError, match=r"refused the sender: 553 5\.1\.8"):
        mailer(kind, plain(smtp_server), once).send(MESSAGE)


@pytest.mark.parametrize("phase", ["mail", "rcpt"])
def test_a_connection_cut_before_the_message_is_made_anew(kind, smtp_server, thrice, phase):
    smtp_server.does.cut = phase

    mailer(kind, plain(smtp_server), thrice).send(MESSAGE)

    assert len(smtp_server.does.received) == 1


def test_a_connection_cut_after_the_message_is_never_repeated(kind, smtp_server, thrice):
    smtp_server.does.cut = "after"

    with pytest.raises(EmailError, match="may have been taken over") as caught:
        mailer(kind, plain(smtp_server), thrice).send(MESSAGE)

    assert len(smtp_server.does.received) == 1
    assert caught.value.details["accepted"] == "unknown"
    assert caught.value.retryable is False


def test_a_server_that_does_not_answer_costs_the_timeout_only(kind, smtp_server, once):
    smtp_server.does.stall = "mail"
    backend = SmtpBackend("127.0.0.1", smtp_server.port, tls="none", timeout=0.5)
    started = time.monotonic()

    with pytest.raises(EmailError, match="did not answer in time"):
        mailer(kind, backend, once).send(MESSAGE)

    assert time.monotonic() - started < 15


def test_the_deadline_of_the_request_bounds_the_wait(kind, smtp_server, once):
    smtp_server.does.stall = "mail"

    with Deadline.after(0.8).scope(), pytest.raises((EmailError, DeadlineExceededError)) as caught:
        mailer(kind, plain(smtp_server), once).send(MESSAGE)

    assert caught.value.retryable is False


def test_no_server_at_all_is_an_error_of_ours(kind, once):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        backend = SmtpBackend("127.0.0.1", taken.getsockname()[1], tls="none", timeout=5)

        with pytest.raises(EmailError, match="cannot be reached") as caught:
            mailer(kind, backend, once).send(MESSAGE)

    assert caught.value.retryable is True


@pytest.mark.parametrize("tls_server", ["tls", "starttls"], indirect=True)
def test_the_message_goes_over_an_encrypted_connection(kind, tls_server, trusting, once):
    backend = SmtpBackend(
        "localhost",
        tls_server.port,
        tls=tls_server.kind,
        username="shop",
        password="hunter2hunter2",
        tls_context=trusting,
    )

    mailer(kind, backend, once).send(MESSAGE)

    assert tls_server.does.encrypted == [True]
    assert tls_server.does.logins == [(b"shop", b"hunter2hunter2")]


@pytest.mark.parametrize("tls_server", ["tls", "starttls"], indirect=True)
def test_an_untrusted_certificate_sends_nothing(kind, tls_server, once):
    backend = SmtpBackend("localhost", tls_server.port, tls=tls_server.kind)

    with pytest.raises(EmailError, match="certificate of the mail server is not trusted") as caught:
        mailer(kind, backend, once).send(MESSAGE)

    assert tls_server.does.received == []
    assert caught.value.retryable is False


def test_a_server_without_starttls_gets_nothing_in_the_clear(kind, smtp_server, once):
    backend = SmtpBackend("127.0.0.1", smtp_server.port, tls="starttls")

    with pytest.raises(ConfigurationError, match="offers no STARTTLS: nothing was sent"):
        mailer(kind, backend, once).send(MESSAGE)

    assert smtp_server.does.received == []


@pytest.mark.parametrize("tls_server", ["starttls"], indirect=True)
def test_a_wrong_password_is_told_without_it(kind, tls_server, trusting, thrice):
    tls_server.does.login = "535 5.7.8 hunter2hunter2 is wrong"
    backend = SmtpBackend(
        "localhost", tls_server.port, username="shop", password="hunter2hunter2", tls_context=trusting
    )

    with pytest.raises(EmailError, match=r"refused the login: 535 5\.7\.8; check SMTP_USERNAME") as caught:
        mailer(kind, backend, thrice).send(MESSAGE)

    assert "hunter2" not in str(caught.value) + repr(caught.value.details) + repr(backend)
    assert caught.value.__cause__ is None
    assert caught.value.retryable is False


@pytest.mark.parametrize("tls_server", ["starttls"], indirect=True)
def test_a_login_that_cannot_be_checked_now_is_retryable(kind, tls_server, trusting, once):
    tls_server.does.login = "454 4.7.0 later"
    backend = SmtpBackend(
        "localhost", tls_server.port, username="shop", password="hunter2hunter2", tls_context=trusting
    )

    with pytest.raises(EmailError, match="cannot check the password now") as caught:
        mailer(kind, backend, once).send(MESSAGE)

    assert caught.value.retryable is True


def test_a_server_without_login_is_told(kind, smtp_server, once):
    backend = plain(smtp_server, username="shop", password="secret-password")

    with pytest.raises(EmailError, match="offers no way to log in"):
        mailer(kind, backend, once).send(MESSAGE)


def test_many_messages_share_one_connection(kind, smtp_server, once):
    messages = [MESSAGE.with_changes(to=f"user{number}@example.com") for number in range(5)]

    report = mailer(kind, plain(smtp_server), once).send_many(messages)

    assert report.is_complete
    assert smtp_server.does.connections == 1
    assert len(smtp_server.does.received) == 5


def test_one_refused_message_does_not_stop_the_others(kind, smtp_server, once):
    smtp_server.does.rcpt["user1@example.com"] = ["550 5.1.1 unknown"]
    messages = [EmailMessage(f"user{number}@example.com", "Hi", text="Hi") for number in range(3)]

    report = mailer(kind, plain(smtp_server), once).send_many(messages)

    assert [each.status for each in report.results] == ["sent", "failed", "sent"]
    assert report.again == (1,)
    assert smtp_server.does.connections == 1


def test_a_message_lost_after_it_was_sent_is_not_offered_again(kind, smtp_server, once):
    smtp_server.does.cut = "after"
    messages = [EmailMessage(f"user{number}@example.com", "Hi", text="Hi") for number in range(2)]

    report = mailer(kind, plain(smtp_server), once).send_many(messages)

    assert [each.status for each in report.results] == ["unknown", "sent"]
    assert report.again == ()


def test_the_rest_is_not_tried_when_the_breaker_opens(kind, smtp_server):
    smtp_server.does.mail = "451 4.3.0 ill"
    policy = Policy("email", breaker=CircuitBreaker("email", failure_threshold=3))
    messages = [EmailMessage(f"user{number}@example.com", "Hi", text="Hi") for number in range(6)]

    report = mailer(kind, plain(smtp_server), policy).send_many(messages)

    assert [each.status for each in report.results] == ["failed"] * 3 + ["not_tried"] * 3
    assert report.again == (0, 1, 2, 3, 4, 5)


def test_a_refused_recipient_does_not_open_the_breaker(kind, smtp_server):
    smtp_server.does.rcpt["ada@example.com"] = ["550 5.1.1 unknown"]
    breaker = CircuitBreaker("email", failure_threshold=1)

    with pytest.raises(EmailRefusedError):
        mailer(kind, plain(smtp_server), Policy("email", breaker=breaker)).send(MESSAGE)

    assert breaker.state.value == "CLOSED"


def test_a_cancelled_send_leaves_no_connection_behind(kind, smtp_server, once):
    if kind == "threads":
        return
    smtp_server.does.stall = "mail"

    async def main():
        from shared.integrations.email import AsyncMailer

        sending = asyncio.create_task(
            AsyncMailer(plain(smtp_server), sender="shop@example.com", policy=once).send(MESSAGE)
        )
        await asyncio.sleep(0.2)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return sending.cancelled()

    assert asyncio.run(main())
