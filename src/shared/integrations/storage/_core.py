"""The rules of a storage: what goes in, what comes out. Knows no clock and does no I/O."""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Final, TypedDict

from shared.errors import (
    ConfigurationError,
    DecryptionError,
    InvalidArgumentError,
    PayloadTooLargeError,
    StorageError,
    ValidationError,
)
from shared.integrations.storage._content_type import decide_content_type
from shared.integrations.storage._errors import truncated
from shared.integrations.storage._keys import check_key, check_prefix
from shared.integrations.storage._model import ObjectPage, ObjectSummary, StoredObject, check_metadata
from shared.integrations.storage._options import StorageOptions, revealed
from shared.integrations.storage._parts import Attributes, Condition, Found, plain_attributes
from shared.integrations.storage._sealing import Opener, Sealed, Sealer
from shared.integrations.storage._staging import Stage, Staged

__all__ = ["Intake", "PutOptionValues", "PutPlan", "StorageCore", "check_range", "put_again"]

MOST_LISTED: Final = 1000
CHUNK: Final = 1024 * 1024


class PutOptionValues(TypedDict, total=False):
    """The options of ``put``; see :meth:`Storage.put`.

    Example:
        >>> options: PutOptionValues = {"content_type": "text/plain", "if_none_match": True}
    """

    content_type: str | None
    filename: str | None
    metadata: Mapping[str, str] | None
    cache_control: str | None
    sha256: str | None
    if_none_match: bool
    if_match: str | None
    max_bytes: int | None
    allowed_types: Sequence[str]
    check_type: bool
    encrypt: bool | None


class PutPlan:
    """One write: checked before the first byte is taken."""

    def __init__(self, key: str, options: StorageOptions, values: PutOptionValues) -> None:
        unknown = sorted(set(values) - PutOptionValues.__optional_keys__)
        if unknown:
            known = ", ".join(sorted(PutOptionValues.__optional_keys__))
            msg = f"put has no option {unknown[0]!r} (known: {known})"
            raise InvalidArgumentError(msg)
        self.key: str = check_key(key)
        self._options = options
        self._values = values
        self._filename = _line("filename", values.get("filename"), 255)
        self._cache_control = _line("cache_control", values.get("cache_control"), 200, ascii_only=True)
        self._metadata = check_metadata(values.get("metadata"))
        self._sha256 = _digest(values.get("sha256"))
        self.condition: Condition = Condition(
            values.get("if_none_match", False), _tag(values.get("if_match"))
        )
        if self.condition.create and self.condition.etag is not None:
            raise InvalidArgumentError("if_none_match and if_match exclude each other")
        self._content_type = ""
        # A wrong claim is told before anything is read.
        self.see(b"", check=False)
        self._sealer: Sealer | None = self._make_sealer(values.get("encrypt"))

    def _make_sealer(self, encrypt: bool | None) -> Sealer | None:
        if not (self._options.encrypt if encrypt is None else encrypt):
            return None
        if self._options.encryption_keys is None:
            msg = "encrypt=True needs a storage with encryption_keys (ENCRYPTION_KEYS)"
            raise ConfigurationError(msg)
        return Sealer(self.key, self._options.encryption_keys)

    def see(self, head: bytes, *, check: bool = True) -> None:
        """Look at the first bytes and decide what the content is."""
        values = self._values
        self._content_type = decide_content_type(
            head,
            name=self._filename or self.key.rpartition("/")[2],
            claimed=values.get("content_type"),
            allowed=(values.get("allowed_types") or self._options.allowed_types) if check else (),
            check=check and values.get("check_type", True),
        )

    def stage(self, spool: Callable[[], IO[bytes]]) -> Stage:
        """Return what takes the content."""
        given = self._values.get("max_bytes")
        limit = self._options.max_bytes if given is None else min(given, self._options.max_bytes)
        return Stage(limit, spool=spool, sealer=self._sealer, on_head=self.see)

    def attributes(self, staged: Staged) -> Attributes:
        """Return what is kept beside the bytes.

        Raises:
            ValidationError: The content is not the one that was announced.
        """
        if self._sha256 is not None and staged.sha256 != self._sha256:
            msg = f"the content of {self.key!r} is not the one that was announced: its sha256 is another"
            raise ValidationError(msg, details={"key": self.key, "sha256": staged.sha256})
        sealed = None
        if self._sealer is not None and self._options.encryption_keys is not None:
            known = self._sealer.sealed(staged.plain_size, staged.sha256)
            sealed = known.to_token(self.key, self._options.encryption_keys)
        return Attributes(
            self._content_type,
            None if sealed else staged.sha256,
            self._metadata,
            self._cache_control,
            self._filename,
            sealed,
        )


class StorageCore:
    """What :class:`Storage` and :class:`AsyncStorage` have in common."""

    def __init__(self, options: StorageOptions, scheme: str) -> None:
        self.options: StorageOptions = options
        self._drawn: bytes | None = secrets.token_bytes(32) if scheme == "memory" else None

    def put(self, key: str, values: PutOptionValues) -> PutPlan:
        """Begin a write."""
        return PutPlan(key, self.options, values)

    def stored(self, found: Found) -> StoredObject:
        """Return what a caller is told of an object."""
        return self._told(found, self._sealed(found))

    def _told(self, found: Found, sealed: Sealed | None) -> StoredObject:
        attributes = found.attributes or plain_attributes(found.key)
        return StoredObject(
            found.key,
            found.size if sealed is None else sealed.size,
            attributes.content_type,
            found.etag or '""',
            found.last_modified,
            attributes.sha256 if sealed is None else sealed.sha256,
            dict(attributes.metadata),
            attributes.cache_control,
            attributes.filename,
            sealed is not None,
        )

    def _sealed(self, found: Found) -> Sealed | None:
        token = None if found.attributes is None else found.attributes.sealed
        if token is None:
            return None
        if self.options.encryption_keys is None:
            msg = f"the object {found.key!r} is encrypted, and this storage has no keys (ENCRYPTION_KEYS)"
            raise DecryptionError(msg)
        return Sealed.from_token(token, found.key, self.options.encryption_keys)

    def read(self, found: Found, start: int, stop: int | None, *, verify: bool) -> "Intake":
        """Begin to take in bytes *start* to *stop* of what was found."""
        sealed = self._sealed(found)
        intake = Intake(self._told(found, sealed), start, stop, verify=verify)
        if sealed is not None and self.options.encryption_keys is not None:
            intake.decrypt(
                Opener(found.key, self.options.encryption_keys, sealed, start, intake.stop), found, stop
            )
        return intake

    def fits(self, intake: "Intake") -> None:
        """Raise when what is asked for is too large to be held in memory."""
        size, most = intake.stop - intake.start, self.options.max_bytes
        if size > most:
            msg = f"{intake.info.key!r} has {size} bytes, at most {most} are held in memory: use stream()"
            raise PayloadTooLargeError(msg, details={"max_bytes": most})

    def listing(self, prefix: str, limit: int, cursor: str | None) -> tuple[str, str, int]:
        """Return what to ask a backend for: one more than wanted tells whether there is more.

        Raises:
            ValidationError: The prefix or the cursor is none.
            InvalidArgumentError: *limit* is not 1 to 1000.
        """
        if not 1 <= limit <= MOST_LISTED:
            msg = f"a page has 1 to {MOST_LISTED} objects, got {limit!r}"
            raise InvalidArgumentError(msg)
        after = "" if cursor is None else check_key(cursor)
        return check_prefix(prefix), after, limit + 1

    def page(self, found: Sequence[Found], limit: int) -> ObjectPage:
        """Return the page of what a backend listed."""
        items = tuple(ObjectSummary(one.key, one.size, one.etag, one.last_modified) for one in found[:limit])
        return ObjectPage(items, items[-1].key if len(found) > limit else None)

    def signing_key(self) -> bytes:
        """Return the key that signs links.

        Raises:
            ConfigurationError: There is none.
        """
        key = revealed(self.options.signing_key)
        if key is None:
            if self._drawn is None:
                msg = "links to a directory need a signing_key: set STORAGE_SIGNING_KEY"
                raise ConfigurationError(msg)
            return self._drawn
        return key.encode() if isinstance(key, str) else bytes(key)


class Intake:
    """A download: counts, decrypts and checks what comes."""

    def __init__(self, info: StoredObject, start: int, stop: int | None, *, verify: bool) -> None:
        self.info: StoredObject = info
        self.start: int = start
        self.stop: int = info.size if stop is None else min(stop, info.size)
        if start and start >= info.size:
            msg = f"the range begins at {start}, and {info.key!r} has {info.size} bytes"
            raise ValidationError(msg, status=416, headers={"Content-Range": f"bytes */{info.size}"})
        if verify and (start, self.stop) != (0, info.size):
            raise InvalidArgumentError("only a whole object can be verified: leave out the range, or verify")
        if verify and info.sha256 is None:
            msg = f"{info.key!r} has no digest to verify it by: something else wrote it"
            raise StorageError(msg, retryable=False)
        self._digest = hashlib.sha256(usedforsecurity=False) if verify else None
        self._left = self.stop - self.start
        self._opener: Opener | None = None
        self.reopen: tuple[int, int] | None = None

    def decrypt(self, opener: Opener, found: Found, stop: int | None) -> None:
        """Decrypt what comes; the frames of a range are elsewhere than the range."""
        self._opener = opener
        span = opener.span(found.size)
        asked = (self.start, found.size if stop is None else stop)
        self.reopen = None if span == asked else span

    def feed(self, data: bytes) -> bytes:
        """Return the content in the next bytes of the store."""
        return self._count(data if self._opener is None else self._opener.feed(data))

    def finish(self) -> bytes:
        """Return the last of the content.

        Raises:
            StorageError: Something is missing, or was changed.
        """
        rest = b"" if self._opener is None else self._count(self._opener.finish())
        if self._left:
            wanted = self.stop - self.start
            raise truncated(self.info.key, wanted - self._left, wanted)
        if self._digest is not None and self._digest.hexdigest() != self.info.sha256:
            msg = f"{self.info.key!r} is not what was stored: its sha256 is another"
            raise StorageError(msg, retryable=False, details={"key": self.info.key})
        return rest

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._digest is not None:
            self._digest.update(data)
        return data


def put_again(info: StoredObject, *, overwrite: bool) -> PutOptionValues:
    """Return the options that store a copy of what is known already."""
    return {
        "content_type": info.content_type,
        "filename": info.filename,
        "metadata": dict(info.metadata),
        "cache_control": info.cache_control,
        "if_none_match": not overwrite,
        "check_type": False,
        "allowed_types": ("*/*",),
        "encrypt": info.is_encrypted,
    }


def check_range(start: int, stop: int | None) -> None:
    """Raise unless a range may be asked for."""
    if start < 0 or (stop is not None and stop <= start):
        msg = f"a range is 0 <= start < stop, got {start!r} to {stop!r}"
        raise InvalidArgumentError(msg)


def _line(name: str, value: Any, most: int, *, ascii_only: bool = False) -> str | None:
    if value is None:
        return None
    wrong = not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable()
    if wrong or (ascii_only and not value.isascii()):
        msg = f"{name} is 1 to {most} characters in one line, got {value!r:.80}"
        raise InvalidArgumentError(msg)
    return str(value)


def _digest(value: str | None) -> str | None:
    if value is None:
        return None
    if len(value) != 64 or not all(letter in "0123456789abcdefABCDEF" for letter in value):
        raise InvalidArgumentError("sha256 is 64 hexadecimal digits")
    return value.lower()


def _tag(value: str | None) -> str | None:
    if value is not None and not (
        len(value) >= 2 and value[0] == value[-1] == '"' and value.isascii() and value.isprintable()
    ):
        msg = f"if_match is an etag in double quotes, as StoredObject.etag, got {value!r:.80}"
        raise InvalidArgumentError(msg)
    return value
