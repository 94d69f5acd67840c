"""flags, their revision and their history"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from shared.database import UTCDateTime

revision: str = "feature_flags_0002"
down_revision: str | Sequence[str] | None = "feature_flags_0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
phase: str = "expand"


def upgrade() -> None:
    op.create_table(
        "feature_flags_revision",
        sa.Column("namespace", sa.String(length=100), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", name=op.f("pk_feature_flags_revision")),
    )
    op.create_table(
        "feature_flags_flag",
        sa.Column("namespace", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "kind", "key", name=op.f("pk_feature_flags_flag")),
    )
    op.create_table(
        "feature_flags_history",
        sa.Column("namespace", sa.String(length=100), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "namespace", "revision", "kind", "key", name=op.f("pk_feature_flags_history")
        ),
    )
    op.create_index(
        "ix_feature_flags_history_namespace_key_revision",
        "feature_flags_history",
        ["namespace", "key", "revision"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index("ix_feature_flags_history_namespace_key_revision", table_name="feature_flags_history")
    op.drop_table("feature_flags_history")
    op.drop_table("feature_flags_flag")
    op.drop_table("feature_flags_revision")
