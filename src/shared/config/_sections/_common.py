"""Small types that several sections use."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from shared.config._types import ConnectionUrl, UrlScheme

_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:*]+")
PRINTABLE: Final = r"^[\x20-\x7e]*$"  # safe in a header
PATH: Final = r"^/[!-~]*$"


def _fold(change: Callable[[str], str]) -> Callable[[Any], Any]:
    def fold(value: Any) -> Any:
        return change(value.strip()) if isinstance(value, str) else value

    return fold


#: Before a ``Literal``: the case of the word does not matter.
UPPER: Final = BeforeValidator(_fold(str.upper))
LOWER: Final = BeforeValidator(_fold(str.lower))


def _origin(value: str) -> str:
    if value != "*" and not _ORIGIN.fullmatch(value):
        raise PydanticCustomError(
            "shared_origin", "'*' or an origin without a path, such as https://app.example.com"
        )
    return value


def _network(value: str) -> str:
    import ipaddress

    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise PydanticCustomError("shared_network", "an IP address or network such as 10.0.0.0/8") from None
    return value


HttpUrl = Annotated[ConnectionUrl, UrlScheme("http", "https")]
HttpsUrl = Annotated[ConnectionUrl, UrlScheme("https")]
Origin = Annotated[str, AfterValidator(_origin)]
Network = Annotated[str, AfterValidator(_network)]
Path = Annotated[str, Field(pattern=PATH, max_length=256)]
Printable = Annotated[str, Field(pattern=PRINTABLE, max_length=512)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Port = Annotated[int, Field(ge=1, le=65535)]
