"""The answers as pydantic models: for ``response_model`` and the OpenAPI document."""

from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from shared.constants import DEFAULT_API_VERSION, SuccessMessage

__all__ = ["Envelope", "ErrorBody", "ErrorEnvelope", "Problem"]

T = TypeVar("T")

_TIMESTAMP = Field(description="Second of the answer, UTC", examples=["2025-01-01T00:00:00Z"])


def _with_meta(schema: dict[str, Any]) -> None:
    # No field: a field that is None would be a sixth key, and the key is there only with a value.
    schema["properties"]["meta"] = {
        "title": "Meta",
        "description": "Facts beside the data, such as a page's position; absent when there are none",
    }


class Envelope(BaseModel, Generic[T]):
    """The envelope of a success.

    The optional key ``meta`` is part of the schema; parsed answers have it as an extra
    attribute.

    Example:
        >>> Envelope[int].model_validate_json(
        ...     '{"success":true,"data":7,"message":"ok","timestamp":"2025-01-01T00:00:00Z","version":"v1"}'
        ... ).data
        7
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", json_schema_extra=_with_meta)

    success: Literal[True] = True
    data: T
    message: str = str(SuccessMessage.OPERATION)
    timestamp: str = _TIMESTAMP
    version: str = DEFAULT_API_VERSION


class ErrorBody(BaseModel):
    """What went wrong.

    Example:
        >>> ErrorBody(code="NOT_FOUND", message="order not found").details
        {}
    """

    code: str = Field(description="Stable name of the error; branch on it", examples=["VALIDATION_ERROR"])
    message: str = Field(description="One line for people", examples=["Invalid input data"])
    details: dict[str, Any] = Field(default_factory=dict, description="Facts for programs")


class ErrorEnvelope(BaseModel):
    """The envelope of an error.

    Example:
        >>> from shared.api import error_response
        >>> ErrorEnvelope.model_validate(error_response("NOT_FOUND", "order not found")).error.code
        'NOT_FOUND'
    """

    success: Literal[False] = False
    error: ErrorBody
    timestamp: str = _TIMESTAMP
    version: str = DEFAULT_API_VERSION


class Problem(BaseModel):
    """An error as problem details. Source: RFC 9457, section 3.

    Example:
        >>> Problem(title="Not Found", status=404, code="NOT_FOUND").type
        'about:blank'
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="Identifies the kind of problem")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = ""
    instance: str | None = None
    code: str
    details: dict[str, Any] = Field(default_factory=dict)
    correlation_id: str | None = None
