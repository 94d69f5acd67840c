"""Types of settings that the standard ones do not cover."""

import difflib
import re
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from shared.security import mask_url

# RFC 3986, section 3.1; bounded, because the scheme is quoted in messages.
URL_START: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{0,29})://")
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f]")


_SCHEMES: Final = (
    "amqp", "amqps", "cockroachdb", "file", "gs", "http", "https", "mariadb", "memory", "mongodb", "mssql",
    "mysql", "nats", "oracle", "postgres", "postgresql", "redis", "rediss", "s3", "smtp", "sqlite", "tls",
    "unix",
)  # fmt: skip


def looks_like_scheme(text: str) -> bool:
    """Tell whether *text* is the scheme of a known kind of address, or a slip away from one."""
    return bool(difflib.get_close_matches(text.lower().partition("+")[0], _SCHEMES, n=1, cutoff=0.75))


class ConnectionUrl(str):
    """A URL that does not show its password.

    It *is* the full text, so any library takes it as it stands; ``repr`` and
    everything built on it (tracebacks with local values, dumps of settings)
    show the masked form.

    Example:
        >>> url = ConnectionUrl("postgresql://app:hunter2@db:5432/orders")
        >>> url
        'postgresql://app:***@db:5432/orders'
        >>> url.scheme, url == "postgresql://app:hunter2@db:5432/orders"
        ('postgresql', True)
    """

    __slots__ = ()

    @property
    def masked(self) -> str:
        """The URL with its password and secret parameters replaced by ``***``."""
        return mask_url(str(self))

    @property
    def scheme(self) -> str:
        """The scheme in lower case, without a driver: ``postgresql`` of ``postgresql+asyncpg``."""
        return self.partition(":")[0].lower().partition("+")[0]

    def __repr__(self) -> str:
        return repr(self.masked)

    def __copy__(self) -> "ConnectionUrl":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "ConnectionUrl":
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls._validate,
            core_schema.str_schema(strip_whitespace=True, min_length=1),
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls._serialise, when_used="json", return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "format": "uri", "minLength": 1}

    @classmethod
    def _validate(cls, value: str) -> "ConnectionUrl":
        if not URL_START.match(value) or _FORBIDDEN.search(value):
            raise PydanticCustomError("shared_url", "a URL of the form scheme://user:password@host:port/name")
        return cls(value)

    @staticmethod
    def _serialise(value: str) -> str:
        return mask_url(str(value))


class UrlScheme:
    """Accept only URLs of these schemes; a driver after ``+`` is not compared.

    Put it beside :class:`ConnectionUrl` in ``Annotated``.

    Example:
        >>> from typing import Annotated
        >>> from pydantic import TypeAdapter
        >>> adapter = TypeAdapter(Annotated[ConnectionUrl, UrlScheme("redis", "rediss")])
        >>> adapter.validate_python("redis://cache:6379/0")
        'redis://cache:6379/0'
    """

    __slots__ = ("schemes",)

    def __init__(self, *schemes: str) -> None:
        self.schemes: tuple[str, ...] = tuple(sorted(schemes))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        described = dict(handler(schema))
        described["x-schemes"] = list(self.schemes)
        return described

    def _validate(self, value: ConnectionUrl) -> ConnectionUrl:
        if value.scheme not in self.schemes:
            raise PydanticCustomError(
                "shared_url_scheme",
                "a URL with one of the schemes {known}",
                {"known": ", ".join(f"{scheme}://" for scheme in self.schemes)},
            )
        return value
