"""outbox, inbox and idempotency keys"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from shared.database import Json, UTCDateTime

revision: str = "database_0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("database",)
depends_on: str | Sequence[str] | None = None
phase: str = "expand"

PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    op.create_table(
        "database_idempotency",
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("response", Json(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_database_idempotency")),
    )
    op.create_index(op.f("ix_database_idempotency_expires_at"), "database_idempotency", ["expires_at"])
    op.create_table(
        "database_inbox",
        sa.Column("consumer", sa.String(length=100), nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "message_id", name=op.f("pk_database_inbox")),
    )
    op.create_index(op.f("ix_database_inbox_created_at"), "database_inbox", ["created_at"])
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
        sa.UniqueConstraint("name", "owner", name=op.f("uq_database_lock_waiter_name_owner")),
    )
    op.create_table(
        "database_outbox",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.String(length=200), nullable=False),
        sa.Column("aggregate", sa.String(length=200), nullable=True),
        sa.Column("payload", Json(), nullable=True),
        sa.Column("headers", Json(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("available_at", UTCDateTime(), nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("claimed_until", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("sent_at", UTCDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_database_outbox")),
        sa.UniqueConstraint("id", name=op.f("uq_database_outbox_id")),
    )
    for name, columns in (("order", ["aggregate", "seq"]), ("pending", ["seq"])):
        op.create_index(
            f"ix_database_outbox_{name}",
            "database_outbox",
            columns,
            postgresql_where=PENDING,
            sqlite_where=PENDING,
        )


def downgrade() -> None:
    op.drop_table("database_outbox")
    op.drop_table("database_lock_waiter")
    op.drop_table("database_lock")
    op.drop_table("database_inbox")
    op.drop_table("database_idempotency")
