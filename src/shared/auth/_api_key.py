"""One API key as its owner sees it, and the rules that judge it; no store, no clock."""

import hmac
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from pydantic import SecretStr

from shared.auth._api_key_format import KeyParts, Pepper
from shared.auth._permissions import is_grant
from shared.auth._principal import Principal
from shared.auth._record_store import Record
from shared.errors import AuthenticationError, InvalidArgumentError, ValidationError

__all__ = ["ApiKey", "NewApiKey"]

_CHALLENGE: Final = "ApiKey"
_KEPT: Final = 30 * 86_400.0  # seconds for which a dead key stays listed
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret; safe to show to its owner.

    Attributes:
        id: Part of the key, and its name in logs.
        owner: The user or service it acts for.
        name: For people.
        scopes: What it may do; the permissions of its principal.
        networks: From where it may be used; from anywhere when empty.
        tenant: For whom it acts.
        created_at: Seconds since 1970.
        created_by: Who made it.
        expires_at: Until when it is good, or None.
        revoked_at: When it was revoked, or None.
        rotated_at: When its secret was last replaced, or None.
        last_used_at: About when it was last used, to the minute, or None.

    Example:
        >>> ApiKey("k-1", "billing", scopes=("orders:read",)).principal()
        Principal(user_id='billing', method='api_key')
    """

    id: str
    owner: str
    name: str = ""
    scopes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    tenant: str | None = None
    created_at: float = 0.0
    created_by: str | None = None
    expires_at: float | None = None
    revoked_at: float | None = None
    rotated_at: float | None = None
    last_used_at: float | None = None

    def is_active(self, now: float) -> bool:
        """Tell whether it is neither revoked nor expired.

        Example:
            >>> ApiKey("k-1", "billing", expires_at=60.0).is_active(60.0)
            False
        """
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def principal(self) -> Principal:
        """Return who acts with it: its owner, allowed its scopes and nothing else.

        Example:
            >>> sorted(ApiKey("k-1", "billing", scopes=("a:b",)).principal().permissions)
            ['a:b']
        """
        return Principal(
            user_id=self.owner,
            permissions=self.scopes,
            scopes=self.scopes,
            tenant=self.tenant,
            method="api_key",
            token_id=self.id,
        )


class NewApiKey(NamedTuple):
    """A key that was just made: the only moment at which its secret is known.

    Attributes:
        secret: The whole key; give it to its owner and forget it.
        key: What is kept of it.

    Example:
        >>> NewApiKey(SecretStr("sk_live_…"), ApiKey("k-1", "billing")).secret
        SecretStr('**********')
    """

    secret: SecretStr
    key: ApiKey


def new_record(
    parts: KeyParts,
    pepper: Pepper,
    *,
    owner: str,
    now: float,
    name: str,
    scopes: Iterable[str],
    networks: Iterable[str],
    tenant: str | None,
    expires_in: float | None,
    created_by: str | None,
) -> Record:
    """Return the record of a new key.

    Raises:
        ValidationError: The owner, a scope, a network or a text is malformed.
        InvalidArgumentError: *expires_in* is not positive.
    """
    if expires_in is not None and not 0 < expires_in < float("inf"):
        msg = f"expires_in is seconds above 0 or None, got {expires_in!r}"
        raise InvalidArgumentError(msg)
    expires_at = None if expires_in is None else now + expires_in
    data = {
        "name": _text("name", name, empty=True),
        "scopes": _scopes(scopes),
        "networks": _networks(networks),
        "tenant": None if tenant is None else _text("tenant", tenant),
        "created_by": None if created_by is None else _text("created_by", created_by),
        "expires_at": expires_at,
        "hashes": [{"pepper": pepper.id, "hash": pepper.digest(parts), "until": None}],
    }
    kept = None if expires_at is None else expires_at + _KEPT
    return Record(parts.id, _text("owner", owner), data, created_at=now, expires_at=kept)


def rotated_record(record: Record, parts: KeyParts, pepper: Pepper, *, now: float, grace: float) -> Record:
    """Return *record* with a new secret; the present one is good for *grace* seconds more."""
    if not 0 <= grace <= _KEPT:
        msg = f"grace is 0 to {_KEPT:.0f} seconds, got {grace!r}"
        raise InvalidArgumentError(msg)
    old = [
        {**entry, "until": now + grace if entry["until"] is None else entry["until"]}
        for entry in record.data["hashes"]
    ]
    new = {"pepper": pepper.id, "hash": pepper.digest(parts), "until": None}
    data = {**record.data, "rotated_at": now, "hashes": [new, *(e for e in old if e["until"] > now)]}
    return replace(record, data=data)


def revoked_record(record: Record, *, now: float) -> Record:
    """Return *record* revoked; it stays listed for a while."""
    data = {**record.data, "revoked_at": now, "hashes": []}
    ends = now + _KEPT
    return replace(
        record, data=data, expires_at=ends if record.expires_at is None else min(ends, record.expires_at)
    )


def key_of(record: Record) -> ApiKey:
    """Return what is known of a key."""
    data = record.data
    return ApiKey(
        record.id,
        record.owner,
        data.get("name", ""),
        tuple(data.get("scopes", ())),
        tuple(data.get("networks", ())),
        data.get("tenant"),
        record.created_at,
        data.get("created_by"),
        data.get("expires_at"),
        data.get("revoked_at"),
        data.get("rotated_at"),
        record.touched_at,
    )


def judge(
    record: Record | None, parts: KeyParts, peppers: Sequence[Pepper], *, now: float, client: str | None
) -> ApiKey:
    """Return the key when its secret is right and it may be used now and from there.

    Raises:
        AuthenticationError: Otherwise. Whether the key exists is told only to who has its secret.
    """
    hashes: Sequence[Mapping[str, Any]] = () if record is None else record.data.get("hashes", ())
    by_id = {pepper.id: pepper for pepper in peppers}
    known = False
    for entry in hashes or _NO_HASHES:  # an unknown key costs as much as a known one
        pepper = by_id.get(entry["pepper"], peppers[0])
        alike = hmac.compare_digest(pepper.digest(parts).encode(), str(entry["hash"]).encode())
        known |= alike and pepper.id == entry["pepper"] and (entry["until"] is None or now < entry["until"])
    if record is None or not known:
        raise AuthenticationError("the API key is not valid", challenge=_CHALLENGE)
    key = key_of(record)
    if key.revoked_at is not None or not key.is_active(now):
        raise AuthenticationError("the API key has expired", challenge=_CHALLENGE)
    if key.networks and not _is_inside(client, key.networks):
        raise AuthenticationError("the API key may not be used from this network", challenge=_CHALLENGE)
    return key


_NO_HASHES: Final[Sequence[Mapping[str, Any]]] = ({"pepper": "", "hash": "0" * 64, "until": None},)


def _is_inside(client: str | None, networks: Iterable[str]) -> bool:
    try:
        address = ipaddress.ip_address(client or "")
    except ValueError:  # a unix socket, or a name
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in ipaddress.ip_network(network) for network in networks)


def _text(what: str, value: object, *, empty: bool = False) -> str:
    if (
        isinstance(value, str)
        and (empty or value)
        and len(value) <= 255
        and (not value or value.isprintable())
    ):
        return value
    msg = f"{what} is up to 255 printable characters"
    raise ValidationError(msg)


def _scopes(scopes: Iterable[str]) -> list[str]:
    found = _several("scopes", scopes)
    wrong = [scope for scope in found if not is_grant(scope)]
    if wrong:
        msg = f"scope {str(wrong[0])[:80]!r} reads not like 'orders:read' or 'orders:*'"
        raise ValidationError(msg)
    return found


def _networks(networks: Iterable[str]) -> list[str]:
    found = []
    for network in _several("networks", networks):
        try:
            found.append(str(ipaddress.ip_network(network)))
        except ValueError as exc:
            msg = f"network {str(network)[:80]!r} is none: write '10.0.0.0/8' or '2001:db8::/32'"
            raise ValidationError(msg) from exc
    return found


def _several(what: str, values: Iterable[str]) -> list[str]:
    if isinstance(values, (str, bytes)):
        msg = f"{what} is a list of text, got one text"
        raise ValidationError(msg)
    found = list(values)
    if len(found) > _MOST:
        msg = f"at most {_MOST} {what}, got {len(found)}"
        raise ValidationError(msg)
    return found
