"""What an evaluation answers, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

__all__ = ["Detail", "Explanation", "FlagReason", "TraceStep"]

FlagReason: TypeAlias = Literal[
    "STATIC",
    "DEFAULT",
    "TARGETING_MATCH",
    "SPLIT",
    "DISABLED",
    "OVERRIDE",
    "PREREQUISITE_FAILED",
    "STALE",
    "ERROR",
]

NOT_FOUND: Final = "FLAG_NOT_FOUND"
TYPE_MISMATCH: Final = "TYPE_MISMATCH"
GENERAL: Final = "GENERAL"
NOT_READY: Final = "PROVIDER_NOT_READY"


@dataclass(frozen=True, slots=True)
class Detail:
    """The value of a flag for one context, and how it came about.

    Attributes:
        key: Of the flag.
        value: What it is.
        variant: Name of the value; None where the value is the caller's default.
        reason: ``STATIC`` (no rules), ``DEFAULT`` (no rule matched), ``TARGETING_MATCH``,
            ``SPLIT``, ``DISABLED``, ``OVERRIDE``, ``PREREQUISITE_FAILED``, ``STALE`` (the store
            cannot be reached; last known value) or ``ERROR``.
        rule_id: The rule that decided.
        revision: Of the document.
        error: What went wrong, in words.
        error_code: ``FLAG_NOT_FOUND``, ``TYPE_MISMATCH``, ``PROVIDER_NOT_READY`` or ``GENERAL``.

    Example:
        >>> from shared.feature_flags import Flag, Flags
        >>> detail = Flags([Flag("new_menu", default=True)]).detail("new_menu")
        >>> detail.value, detail.variant, detail.reason
        (True, 'on', 'STATIC')
    """

    key: str
    value: Any
    variant: str | None
    reason: FlagReason
    rule_id: str | None = None
    revision: int = 0
    error: str | None = None
    error_code: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; what is None is left out, except the value.

        Example:
            >>> Detail("beta", True, "on", "STATIC").to_dict()
            {'key': 'beta', 'value': True, 'variant': 'on', 'reason': 'STATIC', 'revision': 0}
        """
        pairs = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in pairs if value is not None or name == "value"}


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One thing that was looked at on the way to the answer.

    Attributes:
        what: ``override``, ``enabled``, ``prerequisite``, ``schedule``, ``rule``, ``clause``,
            ``split`` or ``default``.
        text: It, in words.
        result: What came of it: ``True``, ``False``, or None where it only informs.
        depth: How deep it stands in the conditions.

    Example:
        >>> str(TraceStep("clause", "plan eq 'pro'", True, 1))
        "  yes  plan eq 'pro'"
    """

    what: str
    text: str
    result: bool | None = None
    depth: int = 0

    def __str__(self) -> str:
        mark = {True: "yes", False: "no ", None: "-  "}[self.result]
        return f"{'  ' * self.depth}{mark}  {self.text}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A :class:`Detail` with everything that was looked at on the way to it.

    Attributes:
        detail: The answer.
        steps: In the order they were looked at.
        environment: Whose overlays apply.

    Example:
        >>> from shared.feature_flags import Flag, Flags
        >>> print(Flags([Flag("new_menu", rollout=0)]).explain("new_menu", {"user_id": "u-1"}))
        new_menu = False (variant 'off', DEFAULT, revision 0)
          yes  enabled
          no   rule 'rollout'
            no   split by user_id: 'u-1' is outside
          -    no rule matched: variant 'off'
    """

    detail: Detail
    steps: tuple[TraceStep, ...]
    environment: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data.

        Example:
            >>> from shared.feature_flags import Flag, Flags
            >>> Flags([Flag("beta")]).explain("beta").to_dict()["steps"][0]
            {'what': 'enabled', 'text': 'enabled', 'result': True, 'depth': 0}
        """
        steps: list[Mapping[str, Any]] = [
            {"what": step.what, "text": step.text, "result": step.result, "depth": step.depth}
            for step in self.steps
        ]
        return {"detail": self.detail.to_dict(), "environment": self.environment, "steps": steps}

    def __str__(self) -> str:
        found = self.detail
        head = f"{found.key} = {found.value!r} "
        head += f"(variant {found.variant!r}, {found.reason}, revision {found.revision})"
        tail = [found.error] if found.error else []
        return "\n".join([head, *(f"  {step}" for step in self.steps), *(f"  {line}" for line in tail)])
