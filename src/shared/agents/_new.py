"""What callers give to make agents, tasks and what belongs to them, checked."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints

from shared.database import Entity
from shared.errors import ValidationError
from shared.security import mask_text

__all__ = ["NewAgent", "NewConversation", "NewInteraction", "NewMessage", "NewTask"]

UserId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Tokens = Annotated[int, Field(ge=0, le=10**12)]
# A zero byte is text to us and an error to PostgreSQL.
Text = Annotated[str, StringConstraints(max_length=1_000_000, pattern=r"^[^\x00]*$")]
_MAX_ERROR = 2000


class NewAgent(Entity, extra="forbid"):
    """An agent to be made.

    Example:
        >>> NewAgent.parse({"user_id": "u-1", "name": "clerk"}).system
        'simple'
    """

    user_id: UserId
    name: Name
    description: Text | None = None
    system: Literal["simple", "enhanced"] = "simple"
    details: dict[str, JsonValue] | None = None


class NewTask(Entity, extra="forbid"):
    """A task to be made.

    Example:
        >>> NewTask.parse({"user_id": "u-1", "name": "summarise"}).priority
        0
    """

    user_id: UserId
    name: Name
    agent_id: uuid.UUID | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    payload: JsonValue = Field(default=None, repr=False)
    available_at: AwareDatetime | None = None


class NewInteraction(Entity, extra="forbid"):
    """An exchange with an agent that has happened.

    Example:
        >>> NewInteraction.parse({"user_id": "u-1", "kind": "chat", "request": "hi"}).is_success
        True
    """

    user_id: UserId
    kind: Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[\x20-\x7e]+$")]
    agent_id: uuid.UUID | None = None
    request: JsonValue = Field(default=None, repr=False)
    response: JsonValue = Field(default=None, repr=False)
    is_success: bool = True
    duration_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    tokens: Tokens | None = None


class NewConversation(Entity, extra="forbid"):
    """A conversation to be begun.

    Example:
        >>> NewConversation.parse({"user_id": "u-1"}).title is None
        True
    """

    user_id: UserId
    agent_id: uuid.UUID | None = None
    title: Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")] | None = Field(
        default=None, repr=False
    )


class NewMessage(Entity, extra="forbid"):
    """Something that was said, to be added to a conversation.

    Example:
        >>> NewMessage.parse({"role": "user", "content": "hello"}).role
        'user'
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: Text = Field(repr=False)
    tokens: Tokens | None = None
    details: dict[str, JsonValue] | None = Field(default=None, repr=False)


def uuid_of(value: Any, name: str) -> uuid.UUID:
    """Return *value*, also as text, as a UUID.

    Raises:
        ValidationError: It is none.
    """
    if isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        msg = f"{name}: a UUID expected"
        raise ValidationError(msg, details={"field": name}) from None


def user_of(value: Any) -> str:
    """Return the id of a user.

    Raises:
        ValidationError: It is not 1 to 64 printable characters.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= 64 or not value.isprintable():
        msg = "user_id: 1 to 64 printable characters expected"
        raise ValidationError(msg, details={"field": "user_id"})
    return value


def error_text(error: object) -> str:
    """Return what went wrong as it is stored: cut, and with secrets masked."""
    text = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)
    return mask_text(text.replace("\x00", "")[: 2 * _MAX_ERROR])[:_MAX_ERROR]


def moment(value: datetime | None, default: datetime) -> datetime:
    """Return *value*, or *default* when there is none."""
    return default if value is None else value
