"""rollups of what ran"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from shared.database import Json

revision: str = "monitoring_0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("monitoring",)
depends_on: str | Sequence[str] | None = None
phase: str = "expand"


def upgrade() -> None:
    op.create_table(
        "monitoring_rollups",
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("width", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("user_name", sa.String(length=200), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Float(precision=53), nullable=False),
        sa.Column("longest", sa.Float(precision=53), nullable=False),
        sa.Column("buckets", Json(), nullable=False),
        sa.PrimaryKeyConstraint(
            "start", "width", "kind", "name", "user_name", name=op.f("pk_monitoring_rollups")
        ),
    )
    op.create_index(
        "ix_monitoring_rollups_user_name_start", "monitoring_rollups", ["user_name", "start"], unique=False
    )


def downgrade() -> None:
    op.drop_table("monitoring_rollups")
