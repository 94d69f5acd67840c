"""locks that outlive a transaction, and the line for them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "database_0002"
down_revision: str | Sequence[str] | None = "database_0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
phase: str = "expand"


def upgrade() -> None:
    op.create_table(
        "database_lock",
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_database_lock")),
    )
    op.create_table(
        "database_lock_waiter",
        sa.Column(
            "place", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_database_lock_waiter")),
        sa.UniqueConstraint("name", "owner", name=op.f("uq_database_lock_waiter_name")),
    )


def downgrade() -> None:
    op.drop_table("database_lock_waiter")
    op.drop_table("database_lock")
