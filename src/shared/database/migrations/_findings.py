"""What the linter finds, and its report."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LintFinding", "LintReport"]


@dataclass(frozen=True, slots=True)
class LintFinding:
    """A change that hurts, and the way that does not.

    Attributes:
        rule: Stable id, such as ``set-not-null``.
        severity: ``error`` stops a release, ``warning`` is for a reader.
        revision: Which; empty for the chain as a whole.
        dialect: On which database; empty for all.
        line: In the revision's file, or 0.
        table: Which table, or empty.
        message: What happens.
        recipe: What to do instead.
        accepted: The reason of the ``safe`` block around it, or None.

    Example:
        >>> finding = LintFinding("drop-table", "error", "orders_0002", message="…", recipe="…")
        >>> finding.fingerprint == LintFinding("drop-table", "error", "orders_0002", line=7).fingerprint
        True
    """

    rule: str
    severity: str
    revision: str
    dialect: str = ""
    line: int = 0
    table: str = ""
    message: str = ""
    recipe: str = ""
    accepted: str | None = None

    @property
    def fingerprint(self) -> str:
        """What a baseline remembers: the rule and where, not the line, which moves."""
        parts = (self.rule, self.revision, self.dialect, self.table)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data.

        Example:
            >>> LintFinding("drop-table", "error", "a").to_dict()["rule"]
            'drop-table'
        """
        return {**asdict(self), "fingerprint": self.fingerprint}

    def __str__(self) -> str:
        where = f"{self.revision}:{self.line}" if self.line else self.revision or "chain"
        on = f" [{self.dialect}]" if self.dialect else ""
        head = f"{self.severity:<8} {where} {self.rule}{on}: {self.message}"
        if self.accepted is not None:
            return f"accepted {where} {self.rule}{on}: {self.accepted}"
        return f"{head}\n         do: {self.recipe}" if self.recipe else head


@dataclass(frozen=True, slots=True)
class LintReport:
    """All findings of a chain.

    Attributes:
        findings: Those that count, the first revision first.
        accepted: Those a ``safe`` block accepts.
        baselined: How many a baseline covers.
        revisions: How many were read.

    Example:
        >>> LintReport((), (), 0, 3).ok
        True
    """

    findings: tuple[LintFinding, ...]
    accepted: tuple[LintFinding, ...]
    baselined: int
    revisions: int

    @property
    def errors(self) -> tuple[LintFinding, ...]:
        """Those that stop a release."""
        return tuple(each for each in self.findings if each.severity == "error")

    @property
    def ok(self) -> bool:
        """Whether nothing stops a release."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data.

        Example:
            >>> LintReport((), (), 0, 3).to_dict()["revisions"]
            3
        """
        return {
            "ok": self.ok,
            "revisions": self.revisions,
            "findings": [each.to_dict() for each in self.findings],
            "accepted": [each.to_dict() for each in self.accepted],
            "baselined": self.baselined,
        }

    def __str__(self) -> str:
        warnings = len(self.findings) - len(self.errors)
        summary = (
            f"{self.revisions} revisions: {len(self.errors)} errors, {warnings} warnings, "
            f"{len(self.accepted)} accepted, {self.baselined} in the baseline"
        )
        return "\n".join([*map(str, self.findings), *map(str, self.accepted), summary])
