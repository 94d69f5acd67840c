"""Against a real HTTP server that speaks Stripe's API: money moves once, whatever happens."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config import override_settings
from shared.errors import (
    CircuitOpenError,
    ConfigurationError,
    ConflictError,
    ExternalServiceError,
    PaymentDeclinedError,
    PaymentNotFoundError,
    RateLimitError,
    SharedError,
    ValidationError,
)
from shared.integrations.payments import (
    AsyncStripeClient,
    PaymentCall,
    StripeClient,
    from_minor_units,
    get_async_stripe,
    get_stripe,
    idempotency_key,
    to_minor_units,
)
from shared.integrations.payments._stripe_talk import charge_of, document_of, error_of, refund_of
from shared.resilience import CircuitBreaker, Policy, RetryPolicy, get_policies
from shared.runtime import Events, Runtime, use
from shared.testing import FakeAnswer, FakeStripe

VISA = {"payment_method": "pm_card_visa"}


class Sync:
    def __init__(self, key, **options):
        self.make = lambda: StripeClient(key, **options)

    def __getattr__(self, verb):
        def run(*args, **kwargs):
            with self.make() as client:
                return getattr(client, verb)(*args, **kwargs)

        return run


class Async(Sync):
    def __init__(self, key, **options):
        self.make = lambda: AsyncStripeClient(key, **options)

    def __getattr__(self, verb):
        def run(*args, **kwargs):
            async def main():
                async with self.make() as client:
                    return await getattr(client, verb)(*args, **kwargs)

            return asyncio.run(main())

        return run


@pytest.fixture
def stripe():
    with FakeStripe() as server:
        yield server


def thrice():
    return Policy("payments", retry=RetryPolicy(max_attempts=3, delay=0.0, sleep=lambda seconds: None))


@pytest.fixture(params=[Sync, Async], ids=["threads", "coroutines"])
def client(request, stripe):
    def make(key=stripe.secret_key, **options):
        return request.param(key, **{"base_url": stripe.url, "policy": thrice(), "timeout": 20.0, **options})

    return make


def test_a_charge_is_paid(client, stripe):
    charge = client(api_version="2026-06-30").charge(
        "order-7",
        Decimal("4.80"),
        "EUR",
        customer="cus_1",
        description="Espresso",
        metadata={"shop": "north"},
        **VISA,
    )

    sent = stripe.requests[0]
    assert (charge.status, charge.amount, charge.currency) == ("succeeded", Decimal("4.80"), "EUR")
    assert (charge.reference, charge.is_replayed) == ("order-7", False)
    assert sent.headers["stripe-version"] == "2026-06-30"
    assert sent.headers["idempotency-key"] == idempotency_key("charge", "order-7")
    assert sent.form()["amount"] == "480"
    assert sent.form()["metadata[shop]"] == "north"


def test_the_same_reference_moves_money_once(client, stripe):
    first = client().charge("order-7", "4.80", "EUR", **VISA)
    again = client().charge("order-7", "4.80", "EUR", **VISA)

    assert (again.provider_id, again.is_replayed) == (first.provider_id, True)
    assert len(stripe.intents) == 1


@pytest.mark.parametrize("trouble", ["after", "before", "half"])
def test_a_lost_answer_is_asked_for_again_and_money_moves_once(client, stripe, trouble):
    stripe.will(FakeAnswer(500, cut=trouble))

    charge = client().charge("order-7", "4.80", "EUR", **VISA)

    assert charge.status == "succeeded"
    assert len(stripe.intents) == 1
    keys = {request.headers["idempotency-key"] for request in stripe.requests}
    assert len(stripe.requests) == 2
    assert len(keys) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_supplier_in_trouble_is_asked_again(client, stripe, status):
    stripe.will(FakeAnswer(status, {"error": {}}, {"Retry-After": "0"}))

    assert client().charge("order-7", "4.80", "EUR", **VISA).status == "succeeded"


def test_a_supplier_that_stays_full_is_told(client, stripe):
    stripe.will(*[FakeAnswer(429, {}, {"Retry-After": "0"})] * 3)

    with pytest.raises(RateLimitError):
        client().charge("order-7", "4.80", "EUR")


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_a_declined_card_is_an_answer_and_not_repeated(client, stripe, method, code):
    with pytest.raises(PaymentDeclinedError) as caught:
        client().charge("order-7", "4.80", "EUR", payment_method=method)

    assert caught.value.details["decline_code"] == code
    assert len(stripe.requests) == 1


def test_another_card_is_another_attempt(client):
    with pytest.raises(PaymentDeclinedError):
        client().charge("order-7", "4.80", "EUR", payment_method="pm_card_chargeDeclined")
    with pytest.raises(ConflictError, match="count attempt up"):
        client().charge("order-7", "4.80", "EUR", **VISA)

    assert client().charge("order-7", "4.80", "EUR", attempt=2, **VISA).status == "succeeded"


def test_another_amount_under_a_reference_is_refused(client):
    client().charge("order-7", "4.80", "EUR")

    with pytest.raises(ConflictError, match="another payment was asked for under this reference"):
        client().charge("order-7", "5.80", "EUR")


def test_a_charge_that_waits_for_the_customer_says_so(client):
    charge = client().charge(
        "order-7",
        "4.80",
        "EUR",
        payment_method="pm_card_authenticationRequired",
        return_url="https://example.com/back",
    )

    assert (charge.status, charge.next_action) == ("pending", "redirect_to_url")
    assert charge.client_secret
    assert charge.client_secret not in repr(charge)


def test_a_charge_is_looked_up_cancelled_and_refunded(client, stripe):
    waiting = client().charge("order-7", "4.80", "EUR")
    paid = client().charge("order-8", "4.80", "EUR", **VISA)

    assert client().get_charge(paid.provider_id).status == "succeeded"
    assert client().cancel_charge("order-7", waiting.provider_id).status == "cancelled"
    refund = client().refund("return-1", paid.provider_id, "1.80", "EUR")
    again = client().refund("return-1", paid.provider_id, "1.80", "EUR")
    rest = client().refund("return-2", paid.provider_id)
    assert (refund.amount, again.refund_id, rest.amount) == (
        Decimal("1.80"),
        refund.refund_id,
        Decimal("3.00"),
    )


def test_more_than_was_paid_is_not_given_back(client):
    paid = client().charge("order-8", "4.80", "EUR", **VISA)

    with pytest.raises(ValidationError, match="because of 'amount'"):
        client().refund("return-1", paid.provider_id, "5", "EUR")


def test_a_payment_that_is_not_there_is_told(client):
    with pytest.raises(PaymentNotFoundError):
        client().get_charge("pi_absent")


def test_an_expired_key_is_told_without_it(client, stripe):
    with pytest.raises(ExternalServiceError, match="is STRIPE_SECRET_KEY right, and not expired") as caught:
        client("sk_live_expired_secret").charge("order-7", "4.80", "EUR")

    assert len(stripe.requests) == 1
    assert "expired_secret" not in str(caught.value) + repr(caught.value.details)
    assert caught.value.retryable is False


def test_the_breaker_opens_after_failures_and_not_after_declined_cards(client, stripe):
    policy = Policy("payments", breaker=CircuitBreaker("payments", failure_threshold=2))
    for number in range(4):
        with pytest.raises(PaymentDeclinedError):
            client(policy=policy).charge(f"o-{number}", 5, "EUR", payment_method="pm_card_chargeDeclined")
    stripe.will(FakeAnswer(500, {}), FakeAnswer(500, {}))
    for _ in range(2):
        with pytest.raises(ExternalServiceError):
            client(policy=policy).charge("order-7", 5, "EUR")
    with pytest.raises(CircuitOpenError):
        client(policy=policy).charge("order-7", 5, "EUR")


def test_the_preset_of_payments_opens_after_five_failures():
    with use(Runtime("test")) as runtime:
        assert get_policies().get("payments").breaker.config.failure_threshold == 5
        runtime.close()


def test_calls_are_told_without_what_is_in_them(client):
    events, seen = Events(), []
    events.subscribe(PaymentCall, seen.append)

    client(events=events).charge("order-7", "4.80", "EUR", **VISA)
    with pytest.raises(PaymentNotFoundError):
        client(events=events).get_charge("pi_absent")

    assert [(each.operation, each.error_type) for each in seen] == [
        ("charge", ""),
        ("get", "PaymentNotFoundError"),
    ]
    assert "order-7" not in repr(seen)


@pytest.mark.parametrize(
    ("args", "more"),
    [
        (("", 5, "EUR"), {}),
        (("a\nb", 5, "EUR"), {}),
        (("x" * 201, 5, "EUR"), {}),
        (("ü", 5, "EUR"), {}),
        ((7, 5, "EUR"), {}),
        (("o", 0, "EUR"), {}),
        (("o", -5, "EUR"), {}),
        (("o", 1.5, "EUR"), {}),
        (("o", True, "EUR"), {}),
        (("o", "1.234", "EUR"), {}),
        (("o", "0.5", "JPY"), {}),
        (("o", "nan", "EUR"), {}),
        (("o", "1e400", "EUR"), {}),
        (("o", "five", "EUR"), {}),
        (("o", 5, "EURO"), {}),
        (("o", 5, None), {}),
        (("o", 5, "EUR"), {"attempt": 0}),
        (("o", 5, "EUR"), {"payment_method": "x&amount=1"}),
        (("o", 5, "EUR"), {"customer": "../x"}),
        (("o", 5, "EUR"), {"description": "a\nb"}),
        (("o", 5, "EUR"), {"metadata": {"a b": "x"}}),
        (("o", 5, "EUR"), {"metadata": {"reference": "x"}}),
        (("o", 5, "EUR"), {"metadata": {"a": "x" * 501}}),
        (("o", 5, "EUR"), {"metadata": {f"k{n}": "x" for n in range(41)}}),
    ],
    ids=range(24),
)
def test_what_does_not_fit_never_leaves(client, stripe, args, more):
    with pytest.raises(ValidationError):
        client().charge(*args, **more)

    assert stripe.requests == []


def test_ids_and_refunds_that_do_not_fit_never_leave(client, stripe):
    for wrong in ("", "pi", "pi_1/../x", "pi_1?x", None):
        with pytest.raises(ValidationError):
            client().get_charge(wrong)
    with pytest.raises(ValidationError, match="needed with an amount"):
        client().refund("r", "pi_1", 5)
    assert stripe.requests == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"id": 7}', b'{"id": "pi_1", "status": "lost"}', b"\xff", b"[" * 9999]
)
def test_nonsense_for_an_answer_is_an_error_of_ours(client, stripe, body):
    stripe.will(FakeAnswer(200, body))

    with pytest.raises(ExternalServiceError, match="Stripe"):
        client().get_charge("pi_1")


@settings(max_examples=150, deadline=None)
@given(
    st.integers(400, 599),
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["retry-after", "x"]), st.text(max_size=9)),
)
def test_any_refusal_is_an_error_of_ours(status, body, headers):
    assert isinstance(error_of(status, headers, body), SharedError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("id", "status", "amount", "currency", "metadata", "next_action", "payment_intent"), JSON
        ),
    )
)
def test_any_document_gives_a_charge_or_an_error_of_ours(document):
    for read in (charge_of, refund_of):
        try:
            read(document)
        except ExternalServiceError:
            continue


@settings(deadline=None)
@given(st.integers(0, 10**11), st.sampled_from(["EUR", "JPY", "KWD", "usd"]))
def test_amounts_go_there_and_back(minor, currency):
    assert to_minor_units(from_minor_units(minor, currency), currency) == minor


@pytest.mark.parametrize("minor", [1.5, True, "5", 10**12])
def test_what_is_no_whole_number_of_coins_is_refused(minor):
    with pytest.raises(ValidationError):
        from_minor_units(minor, "EUR")


def test_the_key_of_an_operation_is_its_own():
    keys = {
        idempotency_key(operation, reference, attempt)
        for operation in ("charge", "refund")
        for reference in ("a", "a1", "1")
        for attempt in (1, 11)
    }

    assert len(keys) == 12
    assert all(len(key) <= 255 for key in keys)


def test_a_document_that_is_none_is_told():
    with pytest.raises(ExternalServiceError):
        document_of(b"not json")


def test_the_clients_of_the_runtime_come_from_the_settings(stripe):
    with (
        use(Runtime("test")) as runtime,
        override_settings(
            STRIPE_SECRET_KEY=stripe.secret_key, STRIPE_BASE_URL=stripe.url, METRICS_ENABLED=True
        ),
    ):
        from shared.monitoring import get_metrics

        get_stripe().charge("order-7", "4.80", "EUR", **VISA)

        labels = {"provider": "stripe", "operation": "charge", "error_type": ""}
        assert get_metrics().value("payment_call_duration_seconds_count", labels) == 1.0
        assert isinstance(get_async_stripe(), AsyncStripeClient)
        runtime.close()


def test_without_a_key_the_setting_is_named():
    with use(Runtime("test")) as runtime, override_settings():
        with pytest.raises(ConfigurationError, match="STRIPE_SECRET_KEY is not set"):
            get_stripe()
        runtime.close()


@pytest.mark.parametrize("key", ["", "sk\n", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_refused(key):
    with pytest.raises(ConfigurationError, match="STRIPE_SECRET_KEY"):
        StripeClient(key)


def test_the_key_is_in_no_repr():
    with StripeClient("sk_live_secret") as client:
        assert "sk_live" not in repr(client)
