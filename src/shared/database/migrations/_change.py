"""One change of a schema or its data, as the linter sees it."""

from dataclasses import dataclass

__all__ = ["Change"]


@dataclass(frozen=True, slots=True)
class Change:
    """What one operation or statement does.

    Attributes:
        kind: Such as ``add_column``; ``safe:…`` for our own operations; ``unread`` for SQL
            that is not understood.
        table: Which table, without schema; empty when none.
        column: Which column.
        name: Of the index or constraint.
        new_name: After a rename.
        type: Type of the column afterwards, as PostgreSQL writes it.
        old_type: Type before, when the revision says it.
        is_nullable: Whether the column may be NULL.
        default: ``""`` for none, ``"constant"``, ``"stable"``, ``"volatile"`` or ``"unknown"``.
        generated: ``stored`` or ``virtual``.
        is_serial: Whether numbers are drawn for it.
        is_unique: Whether a unique index comes with it.
        columns: Of the index or constraint.
        referred: Table a foreign key refers to.
        is_valid: Whether old rows are checked, too.
        is_concurrent: Whether the table stays in use.
        uses_index: Whether a constraint takes an index that is there.
        is_whole: Whether a statement on rows has no condition.
        text: The statement, or the condition of a check.
        is_ours: Whether it is part of a safe operation.
    """

    kind: str
    table: str = ""
    column: str | None = None
    name: str | None = None
    new_name: str | None = None
    type: str | None = None
    old_type: str | None = None
    is_nullable: bool = True
    default: str = ""
    generated: str | None = None
    is_serial: bool = False
    is_unique: bool = False
    columns: tuple[str, ...] = ()
    referred: str | None = None
    is_valid: bool = True
    is_concurrent: bool = False
    uses_index: bool = False
    is_whole: bool = False
    text: str = ""
    is_ours: bool = False
