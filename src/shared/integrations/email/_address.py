"""Who a message is for: checked addresses, and nothing that could become another header."""

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import unquote
from typing import Final, TypeAlias

from shared.constants import FieldLimit
from shared.errors import ValidationError

__all__ = ["Address", "AddressLike", "Recipients", "addresses_of"]

_JOINERS: Final = "\u200c\u200d"  # invisible, and part of names in Persian and in emoji
_MAX_LOCAL: Final = 64
_MAX_GIVEN: Final = FieldLimit.EMAIL_MAX + FieldLimit.NAME_MAX + 10


@dataclass(frozen=True, slots=True)
class Address:
    """One checked address.

    Attributes:
        email: The address as a server wants it: an international domain in its ASCII form.
        name: For people; empty when there is none.

    Example:
        >>> Address.parse("Ada Lovelace <ada@bücher.example>")
        <Address ***@xn--bcher-kva.example>
        >>> Address.parse("Ada Lovelace <ada@bücher.example>").name
        'Ada Lovelace'
    """

    email: str
    name: str = ""

    @classmethod
    def parse(cls, value: "AddressLike", *, field: str = "address") -> "Address":
        """Return the address in *value*: ``"a@b.c"``, ``"Name <a@b.c>"`` or ``(name, address)``.

        Args:
            value: What the caller was given.
            field: Where it stands, for the error.

        Raises:
            ValidationError: It is no address, holds a line end or another invisible
                character, or its local part is not ASCII, which most servers refuse.
        """
        if isinstance(value, Address):
            name, email = value.name, value.email
        elif isinstance(value, tuple) and len(value) == 2:
            name, email = _pair(value, field)
        elif isinstance(value, str):
            name, email = _split(value, field)
        else:
            raise _wrong(field, f"text expected, got {type(value).__name__}")
        _check_name(name, field)
        return cls(_checked(email.strip(), field), name.strip())

    @property
    def domain(self) -> str:
        """What stands behind the ``@``."""
        return self.email.rpartition("@")[2]

    def __str__(self) -> str:
        from email.utils import formataddr

        return formataddr((self.name, self.email))

    def __repr__(self) -> str:
        return f"<Address ***@{self.domain}>"


AddressLike: TypeAlias = str | tuple[str, str] | Address
Recipients: TypeAlias = AddressLike | Iterable[AddressLike]


def addresses_of(value: Recipients | None, field: str) -> tuple[Address, ...]:
    """Return the addresses in *value*, each once, in the order given.

    Raises:
        ValidationError: One of them is wrong; the message tells which one, by number.
    """
    if value is None:
        return ()
    given = [value] if isinstance(value, str | Address) or _is_pair(value) else _listed(value, field)
    several = len(given) > 1
    found: dict[str, Address] = {}
    for number, each in enumerate(given, start=1):
        where = f"{field}[{number}]" if several else field
        address = Address.parse(each, field=where)  # type: ignore[arg-type]
        found.setdefault(address.email.lower(), address)
    return tuple(found.values())


def _listed(value: object, field: str) -> list[object]:
    if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray):
        raise _wrong(field, f"an address or several expected, got {type(value).__name__}")
    return list(value)


def _is_pair(value: object) -> bool:
    """Tell ``("Ada", "ada@example.com")`` from two addresses."""
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return all(isinstance(part, str) for part in value) and "@" not in value[0]


def _pair(value: tuple[object, object], field: str) -> tuple[str, str]:
    name, email = value
    if isinstance(name, str) and isinstance(email, str):
        return name, email
    raise _wrong(field, "name and address are text")


def _split(value: str, field: str) -> tuple[str, str]:
    if len(value) > _MAX_GIVEN:
        raise _wrong(field, f"{len(value)} characters, the limit is {_MAX_GIVEN}")
    _check_name(value, field)
    if "<" not in value:
        return "", value
    name, bracket, email = value.strip().rpartition("<")
    if not bracket or not email.endswith(">") or "<" in name or ">" in name:
        raise _wrong(field, "'name <address>' or an address expected")
    # People write "Smith, John <…>" without quotes; it is quoted when it is sent.
    return unquote(name.strip()), email[:-1]


def _check_name(name: str, field: str) -> None:
    if len(name) > _MAX_GIVEN:
        raise _wrong(field, f"a name of {len(name)} characters, the limit is {_MAX_GIVEN}")
    if not all(character.isprintable() or character in _JOINERS for character in name):
        raise _wrong(field, "a line end or another invisible character")


def _checked(email: str, field: str) -> str:
    from email_validator import validate_email

    if not 3 <= len(email) <= FieldLimit.EMAIL_MAX:
        raise _wrong(field, f"3 to {FieldLimit.EMAIL_MAX} characters expected, got {len(email)}")
    try:
        found = validate_email(
            email,
            check_deliverability=False,
            allow_smtputf8=True,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            globally_deliverable=False,
        )
    except ValueError:
        raise _wrong(field, "not an e-mail address") from None  # the cause quotes it
    local = found.local_part
    if not local.isascii():
        raise _wrong(field, "letters beyond ASCII before the '@', which few mail servers accept")
    if len(local) > _MAX_LOCAL:  # Source: RFC 5321, section 4.5.3.1.1.
        raise _wrong(field, f"{len(local)} characters before the '@', the limit is {_MAX_LOCAL}")
    return f"{local}@{found.ascii_domain}"


def _wrong(field: str, text: str) -> ValidationError:
    return ValidationError(f"{field}: {text}", details={"field": field})
