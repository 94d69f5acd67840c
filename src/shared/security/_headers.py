"""Response headers that tell a browser what the answer may do."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Self

from shared.errors import ConfigurationError

__all__ = ["HeaderPolicy"]

Pairs = tuple[tuple[str, str], ...]
Given = Mapping[str, str] | Iterable[tuple[str, str]]

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z").match  # RFC 9110, section 5.6.2 (token)
_VALUE: Final = re.compile(r"[\x20-\x7e]*\Z").match
_NONCE: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}\Z").match  # CSP Level 3, section 2.3.1
_CSP: Final = "Content-Security-Policy"
_NO_FEATURES: Final = ", ".join(
    f"{feature}=()"
    for feature in ("accelerometer", "camera", "geolocation", "gyroscope", "magnetometer", "microphone",
                    "payment", "usb")
)  # fmt: skip


class HeaderPolicy:
    """An immutable set of security headers, ready to be sent.

    Presets: :attr:`api` for answers that are data, :attr:`web` for pages of your
    own, :attr:`docs` for the Swagger UI and ReDoc pages of FastAPI, :attr:`seed`
    for the five headers of the original specification (with
    ``X-XSS-Protection: 1; mode=block``, which today's browsers ignore), :attr:`off`
    for none. ``Strict-Transport-Security`` is sent over https only, as RFC 6797,
    section 7.2, demands.

    Args:
        headers: Name to value.
        https_headers: Sent over https in addition.

    Raises:
        ConfigurationError: A name is no header name or stands there twice, or a value
            holds a control character (a line break would forge headers) or non-ASCII text.

    Example:
        >>> dict(HeaderPolicy.api.headers(https=False))["X-Content-Type-Options"]
        'nosniff'
        >>> HeaderPolicy.web.with_headers({"X-Frame-Options": "SAMEORIGIN"}).headers(https=True)[1]
        ('X-Frame-Options', 'SAMEORIGIN')
    """

    __slots__ = ("_https", "_plain", "_raw_https", "_raw_plain")

    api: ClassVar["HeaderPolicy"]
    web: ClassVar["HeaderPolicy"]
    docs: ClassVar["HeaderPolicy"]
    seed: ClassVar["HeaderPolicy"]
    off: ClassVar["HeaderPolicy"]

    def __init__(self, headers: Given = (), *, https_headers: Given = ()) -> None:
        self._plain = _checked(headers)
        self._https = (*self._plain, *_checked(https_headers))
        names = [name.lower() for name, _ in self._https]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            msg = f"header {twice!r} stands there twice"
            raise ConfigurationError(msg)
        self._raw_plain = _raw(self._plain)
        self._raw_https = _raw(self._https)

    @classmethod
    def preset(cls, name: str) -> "HeaderPolicy":
        """Return the preset called *name*: api, web, docs, seed or off.

        Raises:
            ConfigurationError: There is no such preset.

        Example:
            >>> HeaderPolicy.preset("off").headers(https=True)
            ()
        """
        found = _PRESETS.get(name)
        if found is None:
            msg = f"unknown security header policy {name!r} (known: {', '.join(_PRESETS)})"
            raise ConfigurationError(msg)
        return found

    def headers(self, *, https: bool, nonce: str | None = None) -> Pairs:
        """Return the headers of one answer, in the order they are sent.

        Args:
            https: Whether the client speaks https, also when a proxy ends it.
            nonce: A fresh random value per answer, at least 16 characters of base64;
                lets the ``<script nonce=…>`` and ``<style nonce=…>`` elements of this
                answer run. Source: CSP Level 3, section 2.3.1.

        Raises:
            ConfigurationError: *nonce* is too short or is no base64.

        Example:
            >>> policy = HeaderPolicy.web.headers(https=True, nonce="Zm9vYmFyYmF6cXV4")
            >>> "script-src 'self' 'nonce-Zm9vYmFyYmF6cXV4'" in dict(policy)["Content-Security-Policy"]
            True
        """
        pairs = self._https if https else self._plain
        if nonce is None:
            return pairs
        if not _NONCE(nonce):
            msg = f"a CSP nonce needs at least 16 characters of base64, got {len(nonce)} characters"
            raise ConfigurationError(msg)
        return tuple((name, _add_nonce(value, nonce) if name == _CSP else value) for name, value in pairs)

    def raw_headers(self, *, https: bool) -> tuple[tuple[bytes, bytes], ...]:
        """Return the same for ASGI: lower-case bytes, made once.

        Example:
            >>> HeaderPolicy.api.raw_headers(https=False)[0]
            (b'x-content-type-options', b'nosniff')
        """
        return self._raw_https if https else self._raw_plain

    def with_headers(self, headers: Mapping[str, str], *, https_only: bool = False) -> Self:
        """Return a policy with *headers* added or replaced, found without regard to case.

        Example:
            >>> HeaderPolicy.off.with_headers({"Referrer-Policy": "no-referrer"}).headers(https=False)
            (('Referrer-Policy', 'no-referrer'),)
        """
        given = {name.lower(): (name, value) for name, value in _checked(headers)}
        plain = [given.get(name.lower(), (name, value)) for name, value in self._plain]
        https = [given.get(name.lower(), (name, value)) for name, value in self._https[len(self._plain) :]]
        known = {name.lower() for name, _ in (*plain, *https)}
        new = [pair for key, pair in given.items() if key not in known]
        return type(self)(
            plain + ([] if https_only else new), https_headers=https + (new if https_only else [])
        )

    def without(self, *names: str) -> Self:
        """Return a policy that lacks *names*, found without regard to case.

        Example:
            >>> HeaderPolicy.seed.without("x-xss-protection").headers(https=False)[-1][0]
            'Content-Security-Policy'
        """
        gone = {name.lower() for name in names}
        split = len(self._plain)
        return type(self)(
            [pair for pair in self._plain if pair[0].lower() not in gone],
            https_headers=[pair for pair in self._https[split:] if pair[0].lower() not in gone],
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HeaderPolicy):
            return NotImplemented
        return (self._plain, self._https) == (other._plain, other._https)

    def __hash__(self) -> int:
        return hash((self._plain, self._https))

    def __repr__(self) -> str:
        names = ", ".join(name for name, _ in self._https)
        return f"HeaderPolicy({names})"


def _checked(headers: Given) -> Pairs:
    pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers)
    for name, value in pairs:
        if not _NAME(name):
            msg = f"invalid header name {name!r}: letters, digits and !#$%&'*+.^_`|~- only"
            raise ConfigurationError(msg)
        if not _VALUE(value):
            msg = f"header {name!r} has a value with control or non-ASCII characters"
            raise ConfigurationError(msg)
    return pairs


def _raw(pairs: Pairs) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.lower().encode("ascii"), value.encode("ascii")) for name, value in pairs)


def _add_nonce(policy: str, nonce: str) -> str:
    """Add *nonce* to the script and style sources; 'none' cannot stand beside it."""
    directives = []
    for directive in policy.split("; "):
        if directive.startswith(("script-src ", "style-src ")):
            sources = directive.removesuffix(" 'none'")
            directives.append(f"{sources} 'nonce-{nonce}'")
        else:
            directives.append(directive)
    return "; ".join(directives)


def _csp(**directives: str) -> str:
    return "; ".join(f"{name.replace('_', '-')} {value}".rstrip() for name, value in directives.items())


_HSTS_TWO_YEARS: Final = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
_CDN: Final = "https://cdn.jsdelivr.net"

HeaderPolicy.api = HeaderPolicy(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-XSS-Protection": "0",
        "Referrer-Policy": "no-referrer",
        _CSP: _csp(default_src="'none'", frame_ancestors="'none'", base_uri="'none'", form_action="'none'"),
        "Cross-Origin-Resource-Policy": "same-origin",
    },
    https_headers=_HSTS_TWO_YEARS,
)
HeaderPolicy.web = HeaderPolicy(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-XSS-Protection": "0",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        _CSP: _csp(
            default_src="'self'",
            script_src="'self'",
            style_src="'self'",
            img_src="'self' data:",
            object_src="'none'",
            base_uri="'none'",
            form_action="'self'",
            frame_ancestors="'none'",
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": _NO_FEATURES,
    },
    https_headers=_HSTS_TWO_YEARS,
)
HeaderPolicy.docs = HeaderPolicy.web.with_headers(
    {
        # What FastAPI's Swagger UI and ReDoc pages load: bundles from the CDN, an
        # inline script, fonts, a favicon, and ReDoc's search worker.
        _CSP: _csp(
            default_src="'none'",
            script_src=f"'self' 'unsafe-inline' {_CDN}",
            style_src=f"'self' 'unsafe-inline' {_CDN} https://fonts.googleapis.com",
            img_src="'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly",
            font_src="'self' data: https://fonts.gstatic.com",
            connect_src="'self'",
            worker_src="'self' blob:",
            base_uri="'none'",
            form_action="'self'",
            frame_ancestors="'none'",
        ),
        # The OAuth2 redirect page talks to the window that opened it.
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    }
)
HeaderPolicy.seed = HeaderPolicy(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-XSS-Protection": "1; mode=block",
        _CSP: _csp(default_src="'self'"),
    },
    https_headers={"Strict-Transport-Security": "max-age=31536000"},
)
HeaderPolicy.off = HeaderPolicy()

_PRESETS: Final[Mapping[str, HeaderPolicy]] = MappingProxyType(
    {
        "api": HeaderPolicy.api,
        "web": HeaderPolicy.web,
        "docs": HeaderPolicy.docs,
        "seed": HeaderPolicy.seed,
        "off": HeaderPolicy.off,
    }
)
