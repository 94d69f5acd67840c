"""payments and what their suppliers told"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from shared.database import Json, Money, UTCDateTime

revision: str = "commerce_0002"
down_revision: str | Sequence[str] | None = "commerce_0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
phase: str = "expand"


def upgrade() -> None:
    op.create_table(
        "commerce_payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("provider_id", sa.String(length=200), nullable=True),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("amount", Money(precision=18, scale=4), nullable=False),
        sa.Column("refunded", Money(precision=18, scale=4), nullable=False),
        sa.Column("failure_code", sa.String(length=100), nullable=True),
        sa.Column("changed_at", UTCDateTime(), nullable=True),
        sa.Column("details", Json(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_commerce_payments_amount")),
        sa.CheckConstraint(
            "provider_id IS NOT NULL OR reference IS NOT NULL", name=op.f("ck_commerce_payments_identity")
        ),
        sa.CheckConstraint(
            "refunded >= 0 AND refunded <= amount", name=op.f("ck_commerce_payments_refunded")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'failed', 'cancelled', 'succeeded', 'partially_refunded', 'refunded')",
            name=op.f("ck_commerce_payments_status"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["commerce_orders.id"],
            name=op.f("fk_commerce_payments_order_id_commerce_orders"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_payments")),
        sa.UniqueConstraint(
            "provider", "provider_id", name=op.f("uq_commerce_payments_provider_provider_id")
        ),
        sa.UniqueConstraint("provider", "reference", name=op.f("uq_commerce_payments_provider_reference")),
    )
    op.create_index("ix_commerce_payments_order_id_id", "commerce_payments", ["order_id", "id"], unique=False)
    op.create_index("ix_commerce_payments_status_id", "commerce_payments", ["status", "id"], unique=False)
    op.create_table(
        "commerce_payment_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("occurred_at", UTCDateTime(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('applied', 'noted', 'stale', 'refused', 'mismatch')",
            name=op.f("ck_commerce_payment_events_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"],
            ["commerce_payments.id"],
            name=op.f("fk_commerce_payment_events_payment_id_commerce_payments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_payment_events")),
        sa.UniqueConstraint(
            "provider", "event_id", name=op.f("uq_commerce_payment_events_provider_event_id")
        ),
    )
    op.create_index(
        "ix_commerce_payment_events_payment_id_id",
        "commerce_payment_events",
        ["payment_id", "id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index("ix_commerce_payment_events_payment_id_id", table_name="commerce_payment_events")
    op.drop_table("commerce_payment_events")
    op.drop_index("ix_commerce_payments_status_id", table_name="commerce_payments")
    op.drop_index("ix_commerce_payments_order_id_id", table_name="commerce_payments")
    op.drop_table("commerce_payments")
