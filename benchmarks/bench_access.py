"""What it costs to check a password, an API key, a rule and a webhook, to encrypt and to mask."""

import base64
import contextlib
import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterator
from functools import partial, wraps
from typing import Any

from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check, looped

PASSWORD = "correct horse battery"
ROUNDS = 8  # of bcrypt: dear enough to tell what the hash costs from what surrounds it
OURS = ("shared.auth",)


# --- passwords -----------------------------------------------------------------------------


@contextlib.contextmanager
def bare_bcrypt() -> Iterator[Run]:
    """One bcrypt of 44 bytes: what the hash itself costs."""
    import bcrypt

    key = base64.b64encode(hashlib.sha256(PASSWORD.encode()).digest())
    hashed = bcrypt.hashpw(key, bcrypt.gensalt(ROUNDS))
    yield looped(lambda: bcrypt.checkpw(key, hashed))


@contextlib.contextmanager
def our_password() -> Iterator[Run]:
    from shared.auth import PasswordManager

    manager = PasswordManager(rounds=ROUNDS)
    hashed = manager.hash_password(PASSWORD)
    check(manager.verify_and_update(PASSWORD, hashed) == (True, None), "it does not fit")
    yield looped(lambda: manager.verify_and_update(PASSWORD, hashed))


@contextlib.contextmanager
def passlib_password() -> Iterator[Run]:
    """passlib over our bcrypt: its own does not work with bcrypt 5."""
    from shared.auth import PasswordManager

    context = PasswordManager(rounds=ROUNDS).passlib_context()
    hashed = context.hash(PASSWORD)
    yield looped(lambda: context.verify_and_update(PASSWORD, hashed))


@contextlib.contextmanager
def pwdlib_password() -> Iterator[Run]:
    from pwdlib import PasswordHash
    from pwdlib.hashers.bcrypt import BcryptHasher

    hasher = PasswordHash((BcryptHasher(rounds=ROUNDS),))
    hashed = hasher.hash(PASSWORD)
    yield looped(lambda: hasher.verify_and_update(PASSWORD, hashed))


# --- API keys ------------------------------------------------------------------------------


@contextlib.contextmanager
def bare_key() -> Iterator[Run]:
    """A dict and one HMAC."""
    pepper, key = os.urandom(32), base64.b64encode(os.urandom(48)).decode()
    known = {key[:12]: hmac.digest(pepper, key.encode(), "sha256")}

    def verify() -> None:
        check(hmac.compare_digest(known[key[:12]], hmac.digest(pepper, key.encode(), "sha256")), "no")

    yield looped(verify)


@contextlib.contextmanager
def our_key() -> Iterator[Run]:
    from shared.auth import ApiKeys, MemoryRecordStore

    keys = ApiKeys(MemoryRecordStore(), pepper=os.urandom(32))
    key = keys.create("bench", scopes=["orders:read"]).secret.get_secret_value()
    check(keys.verify(key).owner == "bench", "not known")
    yield looped(lambda: keys.verify(key).principal())


@contextlib.contextmanager
def hashed_key(rounds: int) -> Iterator[Run]:
    """A slow hash for each key, as for passwords: what several libraries do."""
    import bcrypt

    key = base64.b64encode(os.urandom(36))
    known = {key[:12]: bcrypt.hashpw(key, bcrypt.gensalt(rounds))}
    yield looped(lambda: bcrypt.checkpw(key, known[key[:12]]))


@contextlib.contextmanager
def signed_key() -> Iterator[Run]:
    """A key that is a signature: nothing to look up, and nothing to revoke."""
    from itsdangerous import TimestampSigner

    signer = TimestampSigner(os.urandom(32))
    key = signer.sign("bench")
    yield looped(lambda: signer.unsign(key, max_age=3600))


# --- rules ---------------------------------------------------------------------------------


def _act() -> int:
    return 42


@contextlib.contextmanager
def bare_rule() -> Iterator[Run]:
    """A decorator that looks for a name in a set."""
    roles = {"admin"}

    @wraps(_act)
    def act() -> int:
        check("admin" in roles, "refused")
        return _act()

    yield looped(act)


@contextlib.contextmanager
def our_rule(kind: str) -> Iterator[Run]:
    from shared.auth import Principal, Role, require_permissions, require_roles, use_roles
    from shared.context import request_context
    from shared.runtime import Runtime, use

    rule = {"role": require_roles("viewer"), "permission": require_permissions("orders:read")}[kind]
    with use(Runtime("bench")), request_context(principal=Principal(user_id="u-1", roles={"admin"})):
        use_roles([Role("viewer", ["orders:read"]), Role("admin", ["**"], includes=["viewer"])])
        yield looped(rule(_act))


# --- webhooks ------------------------------------------------------------------------------

_BODY = b'{"id":"evt_1","type":"charge.succeeded","data":{"amount":480}}'
_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def _stripe_header() -> str:
    now = int(time.time())
    return f"t={now},v1={hmac.new(_SECRET.encode(), f'{now}.'.encode() + _BODY, 'sha256').hexdigest()}"


@contextlib.contextmanager
def bare_webhook() -> Iterator[Run]:
    """One HMAC over time and body, and a comparison."""
    header = _stripe_header()

    def verify() -> None:
        parts = dict(part.split("=", 1) for part in header.split(","))
        wanted = hmac.digest(_SECRET.encode(), parts["t"].encode() + b"." + _BODY, "sha256").hex()
        check(hmac.compare_digest(wanted, parts["v1"]) and abs(time.time() - int(parts["t"])) < 300, "no")

    yield looped(verify)


@contextlib.contextmanager
def our_webhook() -> Iterator[Run]:
    from shared.security import verify_webhook

    headers = {"Stripe-Signature": _stripe_header()}
    check(verify_webhook("stripe", _BODY, headers, _SECRET).id == "evt_1", "not verified")
    yield looped(lambda: verify_webhook("stripe", _BODY, headers, _SECRET, tolerance=86_400.0))


@contextlib.contextmanager
def stripe_webhook() -> Iterator[Run]:
    import stripe

    header = _stripe_header()
    yield looped(lambda: stripe.WebhookSignature.verify_header(_BODY.decode(), header, _SECRET, 86_400))


@contextlib.contextmanager
def standard_webhook() -> Iterator[Run]:
    import standardwebhooks

    hook = standardwebhooks.Webhook(_SECRET)
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    headers = {
        "webhook-id": "m-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": hook.sign("m-1", now, _BODY.decode()),
    }
    yield looped(lambda: hook.verify(_BODY, headers))


# --- encryption -----------------------------------------------------------------------------

_TEXT = "4111 1111 1111 1111"


@contextlib.contextmanager
def bare_aes() -> Iterator[Run]:
    """AES-256-GCM with a random nonce, in and out."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher = AESGCM(os.urandom(32))

    def both() -> None:
        nonce = os.urandom(12)
        sealed = nonce + cipher.encrypt(nonce, _TEXT.encode(), b"cards.number")
        check(cipher.decrypt(sealed[:12], sealed[12:], b"cards.number").decode() == _TEXT, "changed")

    yield looped(both)


@contextlib.contextmanager
def our_aes() -> Iterator[Run]:
    from shared.security import EncryptionKeys, decrypt_text, encrypt, new_encryption_key

    keys = EncryptionKeys({f"k{number}": new_encryption_key() for number in range(5)})
    options: dict[str, Any] = {"purpose": "cards.number"}

    def both() -> None:
        check(decrypt_text(encrypt(_TEXT, keys, **options), keys, **options) == _TEXT, "changed")

    yield looped(both)


@contextlib.contextmanager
def fernet(count: int) -> Iterator[Run]:
    from cryptography.fernet import Fernet, MultiFernet

    ring = [Fernet(Fernet.generate_key()) for _ in range(count)]
    # What was written before the keys were rotated: the last one fits.
    old, new = ring[-1], MultiFernet(ring)

    def both() -> None:
        check(new.decrypt(old.encrypt(_TEXT.encode())).decode() == _TEXT, "changed")

    yield looped(both)


# --- masking --------------------------------------------------------------------------------

_LINE = "POST /pay?token=abcdef123456 from 10.0.0.7 with Bearer abcdefghijklmnop took 12 ms, password=hunter2"
_EVENT = {
    "user": "u-1",
    "headers": {"Authorization": "Bearer abcdefghijklmnop", "Accept": "*/*"},
    "api_key": "k-1",
}
_NAMES = re.compile("passw|secret|token|api_?key|authorization", re.IGNORECASE)
_FOUND = re.compile(r"(?i)(bearer\s+)\S+|((?:token|password)=)[^&\s]+")


@contextlib.contextmanager
def bare_text() -> Iterator[Run]:
    """One regular expression for three shapes."""
    yield looped(lambda: _FOUND.sub(r"\1\2***", _LINE))


@contextlib.contextmanager
def our_text() -> Iterator[Run]:
    from shared.security import mask_text

    check("hunter2" not in mask_text(_LINE) and "abcdef" not in mask_text(_LINE), "not masked")
    yield looped(lambda: mask_text(_LINE))


def _walk(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "***" if _NAMES.search(name) else _walk(item) for name, item in value.items()}
    return value


@contextlib.contextmanager
def bare_event() -> Iterator[Run]:
    """A recursive function that copies and asks one regular expression."""
    yield looped(lambda: _walk(_EVENT))


@contextlib.contextmanager
def our_event() -> Iterator[Run]:
    from shared.security import Redactor

    redactor = Redactor()
    check("abcdef" not in repr(redactor.redact(_EVENT)), "not masked")
    yield looped(lambda: redactor.redact(_EVENT))


_SHARED = ("shared.security",)

TABLES = (
    Table(
        name="password",
        title=f"check a password, bcrypt with cost {ROUNDS}",
        base="floor: one bcrypt",
        cases=(
            Case("floor: one bcrypt", bare_bcrypt, kind="floor", requires=("bcrypt",)),
            Case("ours, verify_and_update", our_password, kind="ours", requires=OURS),
            Case("passlib over our bcrypt", passlib_password, requires=(*OURS, "passlib")),
            Case("pwdlib", pwdlib_password, requires=("pwdlib",)),
        ),
        goals=(Goal("ours, verify_and_update", "floor: one bcrypt", at_most=1.05),),
        unit="ms",
        rounds=(20, 6),
    ),
    Table(
        name="api-key",
        title="check an API key, store in memory",
        base="floor: dict + HMAC",
        cases=(
            Case("floor: dict + HMAC", bare_key, kind="floor"),
            Case("ours, verify + principal", our_key, kind="ours", requires=OURS),
            Case("itsdangerous, signed key", signed_key, requires=("itsdangerous",)),
            Case("bcrypt 10 per key", partial(hashed_key, 10), requires=("bcrypt",)),
        ),
        goals=(Goal("ours, verify + principal", "bcrypt 10 per key", at_least=500),),
    ),
    Table(
        name="rule",
        title="a function behind a rule",
        base="floor: a name in a set",
        cases=(
            Case("floor: a name in a set", bare_rule, kind="floor"),
            Case("ours, require_roles", partial(our_rule, "role"), kind="ours", requires=OURS),
            Case("ours, require_permissions", partial(our_rule, "permission"), kind="ours", requires=OURS),
        ),
    ),
    Table(
        name="webhook",
        title="verify a webhook, 62 bytes",
        base="floor: HMAC by hand",
        cases=(
            Case("floor: HMAC by hand", bare_webhook, kind="floor"),
            Case("ours, verify_webhook", our_webhook, kind="ours", requires=_SHARED),
            Case("stripe SDK", stripe_webhook, requires=("stripe",)),
            Case("standardwebhooks", standard_webhook, requires=("standardwebhooks",)),
        ),
    ),
    Table(
        name="encrypt",
        title="encrypt and decrypt 19 characters, the fifth of five keys",
        base="floor: AES-GCM",
        cases=(
            Case("floor: AES-GCM", bare_aes, kind="floor", requires=("cryptography",)),
            Case("ours, encrypt + decrypt", our_aes, kind="ours", requires=(*_SHARED, "cryptography")),
            Case("Fernet, one key", partial(fernet, 1), requires=("cryptography",)),
            Case("MultiFernet, five keys", partial(fernet, 5), requires=("cryptography",)),
        ),
        notes=("Ours has a key of its own for each text, so that no number of texts wears one out.",),
    ),
    Table(
        name="mask-text",
        title="mask three secrets in a line of text",
        base="floor: one regular expression",
        cases=(
            Case("floor: one regular expression", bare_text, kind="floor"),
            Case("ours, mask_text", our_text, kind="ours", requires=_SHARED),
        ),
        notes=("The floor knows three shapes; mask_text knows some forty, by shape and by name.",),
    ),
    Table(
        name="mask-event",
        title="mask a nested event",
        base="floor: a recursive copy",
        cases=(
            Case("floor: a recursive copy", bare_event, kind="floor"),
            Case("ours, Redactor", our_event, kind="ours", requires=_SHARED),
        ),
        goals=(Goal("ours, Redactor", "floor: a recursive copy", at_most=2.0),),
    ),
)
