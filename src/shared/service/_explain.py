"""What was put into an application, and which setting decided it."""

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Explanation", "Part", "SettingShown"]


@dataclass(frozen=True, slots=True)
class SettingShown:
    """One setting that a part follows; a secret's value is masked.

    Example:
        >>> SettingShown("MAX_BODY_BYTES", 1_048_576).name
        'MAX_BODY_BYTES'
    """

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Part:
    """One thing ``install()`` or ``worker()`` did, or left out.

    Attributes:
        name: What ``without=`` calls it.
        does: What it does, in a line.
        enabled: Whether it is there.
        reason: Why not, when it is not.
        settings: The settings it follows, as they are.

    Example:
        >>> Part("health", "GET /health", enabled=False, reason="without='health'").reason
        "without='health'"
    """

    name: str
    does: str
    enabled: bool = True
    reason: str | None = None
    settings: tuple[SettingShown, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything the library added to one application; ``str()`` lays it out for people.

    Attributes:
        service: Name of the service.
        kind: ``fastapi``, ``starlette``, ``flask`` or ``worker``.
        environment: Profile in force.
        parts: In the order in which they were installed.

    Example:
        >>> print(Explanation("orders", "flask", "testing", (Part("health", "GET /health"),)))
        orders (flask, testing)
          health  GET /health
    """

    service: str
    kind: str
    environment: str
    parts: tuple[Part, ...]

    def part(self, name: str) -> Part:
        """Return the part called *name*.

        Raises:
            KeyError: There is none.
        """
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        width = max((len(part.name) for part in self.parts), default=0)
        lines = [f"{self.service} ({self.kind}, {self.environment})"]
        for part in self.parts:
            does = part.does if part.enabled else f"off: {part.reason}"
            lines.append(f"  {part.name.ljust(width)}  {does}")
            if part.enabled and part.settings:
                values = ", ".join(f"{setting.name}={setting.value}" for setting in part.settings)
                lines.append(f"  {' ' * width}    {values}")
        return "\n".join(lines)
