"""What ASGI and WSGI do alike about versions."""

from typing import Any, Final

from shared.api._exchange import Exchange
from shared.api._jobs import ResponseHeaders
from shared.api._versions import Spoken, Versions
from shared.errors import SharedError

__all__ = ["begin", "is_json", "too_large", "use_version"]

_VARY: Final = "Vary"


def begin(versions: Versions, exchange: Any) -> Spoken:
    """Return what the request of *exchange* speaks, and who answers it."""
    return versions.speak(exchange.method, exchange.path, exchange.header, exchange.route_for)


def use_version(versions: Versions, exchange: Exchange, spoken: Spoken) -> None:
    """Let the answer carry the version, and tell the caller when it goes away.

    Raises:
        ApiVersionRetiredError: It is gone.
    """
    version = spoken.version
    if version is None:
        return
    exchange.api_version = version.name
    if versions.header is not None or versions.media_type is not None:
        exchange.before_headers(_Chosen(versions, version.name))
    if version.deprecated is not None:
        version.deprecated.note(version.name)


class _Chosen:
    """Tells which version was spoken, and what it was chosen by."""

    __slots__ = ("_name", "_versions")

    def __init__(self, versions: Versions, name: str) -> None:
        self._versions, self._name = versions, name

    def __call__(self, _exchange: Exchange, _status: int, headers: ResponseHeaders) -> None:
        if self._versions.header is not None:
            headers.set(self._versions.header, self._name)
            headers.append(_VARY, self._versions.header)
        if self._versions.media_type is not None:
            headers.append(_VARY, "Accept")


def is_json(content_type: str) -> bool:
    """Tell whether a body is JSON, by its type."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def too_large(max_bytes: int) -> SharedError:
    """Return the error for an answer that cannot be downgraded."""
    return SharedError(f"an answer of more than {max_bytes} bytes cannot be told in an older version")
