"""One thing that the doctor found."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, how bad it is and what to do; holds no secret.

    Attributes:
        id: Stable name, for scripts that ignore some.
        severity: ``"error"`` must be put right, ``"warning"`` should, ``"info"`` is good to know.
        message: What is wrong, in one line.
        fix: What to do about it, in one line.
    """

    id: str
    severity: str
    message: str
    fix: str

    def to_dict(self) -> dict[str, str]:
        """Return the finding as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.severity:<8} {self.id}: {self.message}\n{'':<8} fix: {self.fix}"
