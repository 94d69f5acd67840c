"""exposures, usage and feedback"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from shared.database import UTCDateTime

revision: str = "feature_flags_0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("feature_flags",)
depends_on: str | Sequence[str] | None = None
phase: str = "expand"


def upgrade() -> None:
    op.create_table(
        "feature_flags_exposures",
        sa.Column("flag", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("variant", sa.String(length=200), nullable=False),
        sa.Column("phase", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_at", UTCDateTime(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("flag", "unit", "variant", "phase", name=op.f("pk_feature_flags_exposures")),
    )
    op.create_index(
        "ix_feature_flags_exposures_flag_last_at",
        "feature_flags_exposures",
        ["flag", "last_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_feature_flags_exposures_unit"), "feature_flags_exposures", ["unit"], unique=False
    )
    op.create_table(
        "feature_flags_feedback",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("flag", sa.String(length=200), nullable=False),
        sa.Column("variant", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("text", sa.String(length=2000), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feature_flags_feedback")),
        sa.UniqueConstraint(
            "flag", "unit", "variant", name=op.f("uq_feature_flags_feedback_flag_unit_variant")
        ),
    )
    op.create_index(
        "ix_feature_flags_feedback_flag_updated_at",
        "feature_flags_feedback",
        ["flag", "updated_at"],
        unique=False,
    )
    op.create_index(op.f("ix_feature_flags_feedback_unit"), "feature_flags_feedback", ["unit"], unique=False)
    op.create_table(
        "feature_flags_usage",
        sa.Column("flag", sa.String(length=200), nullable=False),
        sa.Column("variant", sa.String(length=200), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("evaluations", sa.BigInteger(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("flag", "variant", "day", name=op.f("pk_feature_flags_usage")),
    )
    op.create_index(op.f("ix_feature_flags_usage_day"), "feature_flags_usage", ["day"], unique=False)


def downgrade() -> None:
    op.drop_table("feature_flags_usage")
    op.drop_table("feature_flags_feedback")
    op.drop_table("feature_flags_exposures")
