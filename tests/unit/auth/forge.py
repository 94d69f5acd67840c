"""Keys and tokens for the tests: honest ones, and every kind that is not."""

import base64
import functools
import hmac
import json

from shared.auth import Key, KeyRing, TokenOptions, TokenService

NOW = 1_790_000_000.0
SECRET = "tq7Zk2bV-9xLr4WmHs0cYp6uEa1dNfGj3iKoXvRwBzQ8MtUy5hJlSeCgPnDiFb_A"
ALGORITHMS = (
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
    "ES512", "EdDSA",
)  # fmt: skip


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


def key(algorithm="HS256", kid="k1", number=0):
    """Return a key; the same for the same arguments."""
    return _key(algorithm, kid, number)


@functools.cache
def _key(algorithm, kid, number):
    if algorithm[:2] in ("RS", "PS"):
        return Key.from_jwk(_rsa(number), algorithm, kid=kid)
    return Key.generate(algorithm, kid=kid)


@functools.cache
def _rsa(number):
    made = Key.generate("RS256", kid="any").to_jwk(private=True)
    return {name: value for name, value in made.items() if name not in ("alg", "kid")}


def ring(algorithm="HS256", backend="jose", kid="k1"):
    return KeyRing([key(algorithm, kid)], backend=backend)


def service(algorithm="HS256", *, store=None, clock=None, backend="jose", **options):
    return TokenService(
        ring(algorithm, backend), store, options=TokenOptions(**options), clock=clock or Clock()
    )


def b64(data):
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header(**more):
    return {"alg": "HS256", "kid": "k1", "typ": "at+jwt", **more}


def claims(**more):
    found = {
        "iss": "shared",
        "sub": "u-1",
        "aud": "shared",
        "iat": NOW,
        "exp": NOW + 600,
        "jti": "t-1",
        **more,
    }
    return {name: value for name, value in found.items() if value is not ...}


def raw(head, body, *, signing=None):
    """Return a token with exactly this header and payload, as bytes or JSON, truly signed by *signing*."""
    head = head if isinstance(head, bytes) else json.dumps(head).encode()
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return signed(f"{b64(head)}.{b64(body)}", signing=signing)


def signed(text, *, signing=None):
    """Return *text*, whatever it is, with a true signature behind it."""
    maker = KeyRing([signing or key()])
    return f"{text}.{b64(maker.sign(text.encode()))}"


def hs256(text, secret):
    """Return *text* signed by HMAC with whatever *secret*, as an attacker does."""
    return f"{text}.{b64(hmac.digest(secret, text.encode(), 'sha256'))}"


def access(**more):
    """Return a truly signed access token with these claims; ``...`` leaves one out."""
    return raw(header(), claims(**more))
