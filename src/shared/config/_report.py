"""What is wrong with the settings, as data and as text."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import ConfigurationError

_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings; holds no secret.

    Attributes:
        variable: The variable, the file or the section that is meant.
        message: What is wrong and what was expected.
        origin: Where the value came from, such as ``environment`` or ``/srv/.env:12``.
        value: The masked value, or None when there is none to show.
        suggestion: The name that was probably meant, or None.
        fix: What to do about it, in one line.
        id: Stable name of the rule.
        severity: ``"error"`` refuses the settings, ``"warning"`` does not.

    Example:
        >>> print(Problem("DB_POOL_SIZE", "expected an integer", origin=".env:3", value="many"))
        DB_POOL_SIZE: expected an integer, got 'many' (.env:3)
    """

    variable: str
    message: str
    origin: str | None = None
    value: str | None = None
    suggestion: str | None = None
    fix: str | None = None
    id: str = "settings.invalid"
    severity: str = "error"

    def __str__(self) -> str:
        text = f"{self.variable}: {self.message}"
        if self.value is not None:
            text += f", got {self.value!r}"
        if self.origin is not None:
            text += f" ({self.origin})"
        if self.suggestion is not None:
            text += f"; did you mean {self.suggestion}?"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as plain data, without what is not known."""
        names = ("id", "severity", "variable", "message", "origin", "value", "suggestion", "fix")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def printable(value: Any, limit: int = _LONGEST) -> str:
    """Return *value* as one short line that any terminal and codec can take."""
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    text = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def failure(
    problems: Iterable[Problem], environment: str, warnings: Iterable[Problem] = ()
) -> ConfigurationError:
    """Return the one error that lists all *problems*, and the misspelt names among *warnings*.

    A misspelt name is often why another setting is missing.
    """
    found = sorted(problems, key=lambda problem: (problem.variable, problem.message))
    noun = "setting is" if len(found) == 1 else "settings are"
    lines = "\n".join(f"  {problem}" for problem in found)
    misspelt = [problem for problem in warnings if problem.suggestion]
    if misspelt:
        lines += "\nperhaps misspelt:\n" + "\n".join(f"  {problem}" for problem in misspelt)
    return ConfigurationError(
        f"{len(found)} {noun} wrong (profile {environment}):\n{lines}",
        details={"environment": environment, "problems": [problem.to_dict() for problem in found]},
    )
