"""orders, assets, balances and inventory"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from shared.database import Json, Money, UTCDateTime

revision: str = "commerce_0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("commerce",)
depends_on: str | Sequence[str] | None = None
phase: str = "expand"


def upgrade() -> None:
    op.create_table(
        "commerce_asset_transactions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("reverses_id", sa.Uuid(), nullable=True),
        sa.Column("details", Json(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('transfer', 'deposit', 'withdrawal', 'trade', 'reversal')",
            name=op.f("ck_commerce_asset_transactions_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["reverses_id"],
            ["commerce_asset_transactions.id"],
            name=op.f("fk_commerce_asset_transactions_reverses_id_commerce_asset_transactions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_asset_transactions")),
        sa.UniqueConstraint("reference", name=op.f("uq_commerce_asset_transactions_reference")),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_commerce_asset_transactions_reverses_id")),
    )
    op.create_index(
        op.f("ix_commerce_asset_transactions_created_at"),
        "commerce_asset_transactions",
        ["created_at"],
        unique=False,
    )
    op.create_table(
        "commerce_assets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_assets")),
        sa.UniqueConstraint("symbol", name=op.f("uq_commerce_assets_symbol")),
    )
    op.create_table(
        "commerce_balances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("amount", Money(precision=18, scale=4), nullable=False),
        sa.Column("allow_negative", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("amount >= 0 OR allow_negative", name=op.f("ck_commerce_balances_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_balances")),
        sa.UniqueConstraint("user_id", "currency", name=op.f("uq_commerce_balances_user_id_currency")),
    )
    op.create_table(
        "commerce_inventory_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("variant_id", sa.String(length=100), nullable=False),
        sa.Column("on_hand", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("on_hand >= 0", name=op.f("ck_commerce_inventory_items_on_hand")),
        sa.CheckConstraint(
            "reserved >= 0 AND reserved <= on_hand", name=op.f("ck_commerce_inventory_items_reserved")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_inventory_items")),
        sa.UniqueConstraint("variant_id", name=op.f("uq_commerce_inventory_items_variant_id")),
    )
    op.create_table(
        "commerce_orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("total", Money(precision=18, scale=4), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("details", Json(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'paid', 'processing', 'shipped', 'delivered', 'cancelled', 'failed', 'refunded')",
            name=op.f("ck_commerce_orders_status"),
        ),
        sa.CheckConstraint("total >= 0", name=op.f("ck_commerce_orders_total")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_orders")),
        sa.UniqueConstraint("user_id", "reference", name=op.f("uq_commerce_orders_user_id_reference")),
    )
    op.create_index("ix_commerce_orders_status_id", "commerce_orders", ["status", "id"], unique=False)
    op.create_index("ix_commerce_orders_user_id_id", "commerce_orders", ["user_id", "id"], unique=False)
    op.create_table(
        "commerce_asset_balances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("amount", Money(precision=18, scale=8), nullable=False),
        sa.Column("allow_negative", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("amount >= 0 OR allow_negative", name=op.f("ck_commerce_asset_balances_amount")),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["commerce_assets.id"],
            name=op.f("fk_commerce_asset_balances_asset_id_commerce_assets"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_asset_balances")),
        sa.UniqueConstraint("user_id", "asset_id", name=op.f("uq_commerce_asset_balances_user_id_asset_id")),
    )
    op.create_index(
        op.f("ix_commerce_asset_balances_asset_id"), "commerce_asset_balances", ["asset_id"], unique=False
    )
    op.create_table(
        "commerce_balance_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("balance_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("amount", Money(precision=18, scale=4), nullable=False),
        sa.Column("amount_after", Money(precision=18, scale=4), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_commerce_balance_entries_amount")),
        sa.ForeignKeyConstraint(
            ["balance_id"],
            ["commerce_balances.id"],
            name=op.f("fk_commerce_balance_entries_balance_id_commerce_balances"),
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["commerce_asset_transactions.id"],
            name=op.f("fk_commerce_balance_entries_transaction_id_commerce_asset_transactions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_balance_entries")),
    )
    op.create_index(
        op.f("ix_commerce_balance_entries_balance_id"),
        "commerce_balance_entries",
        ["balance_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_commerce_balance_entries_transaction_id"),
        "commerce_balance_entries",
        ["transaction_id"],
        unique=False,
    )
    op.create_index(
        "ix_commerce_balance_entries_user_id_id", "commerce_balance_entries", ["user_id", "id"], unique=False
    )
    op.create_table(
        "commerce_inventory_reservations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("variant_id", sa.String(length=100), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "state IN ('active', 'confirmed', 'released', 'expired', 'returned')",
            name=op.f("ck_commerce_inventory_reservations_state"),
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_commerce_inventory_reservations_quantity")),
        sa.ForeignKeyConstraint(
            ["item_id"],
            ["commerce_inventory_items.id"],
            name=op.f("fk_commerce_inventory_reservations_item_id_commerce_inventory_items"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["commerce_orders.id"],
            name=op.f("fk_commerce_inventory_reservations_order_id_commerce_orders"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_inventory_reservations")),
    )
    op.create_index(
        "ix_commerce_inventory_reservations_due",
        "commerce_inventory_reservations",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'active'"),
        sqlite_where=sa.text("state = 'active'"),
    )
    op.create_index(
        op.f("ix_commerce_inventory_reservations_item_id"),
        "commerce_inventory_reservations",
        ["item_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_commerce_inventory_reservations_order_id"),
        "commerce_inventory_reservations",
        ["order_id"],
        unique=False,
    )
    op.create_table(
        "commerce_order_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", Money(precision=18, scale=4), nullable=False),
        sa.Column("is_stocked", sa.Boolean(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_commerce_order_items_quantity")),
        sa.CheckConstraint("unit_price >= 0", name=op.f("ck_commerce_order_items_unit_price")),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["commerce_orders.id"],
            name=op.f("fk_commerce_order_items_order_id_commerce_orders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_order_items")),
        sa.UniqueConstraint("order_id", "position", name=op.f("uq_commerce_order_items_order_id_position")),
    )
    op.create_index(
        op.f("ix_commerce_order_items_variant_id"), "commerce_order_items", ["variant_id"], unique=False
    )
    op.create_table(
        "commerce_asset_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("asset_balance_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("amount", Money(precision=18, scale=8), nullable=False),
        sa.Column("amount_after", Money(precision=18, scale=8), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_commerce_asset_entries_amount")),
        sa.ForeignKeyConstraint(
            ["asset_balance_id"],
            ["commerce_asset_balances.id"],
            name=op.f("fk_commerce_asset_entries_asset_balance_id_commerce_asset_balances"),
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["commerce_assets.id"],
            name=op.f("fk_commerce_asset_entries_asset_id_commerce_assets"),
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["commerce_asset_transactions.id"],
            name=op.f("fk_commerce_asset_entries_transaction_id_commerce_asset_transactions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commerce_asset_entries")),
    )
    op.create_index(
        op.f("ix_commerce_asset_entries_asset_balance_id"),
        "commerce_asset_entries",
        ["asset_balance_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_commerce_asset_entries_transaction_id"),
        "commerce_asset_entries",
        ["transaction_id"],
        unique=False,
    )
    op.create_index(
        "ix_commerce_asset_entries_user_id_id", "commerce_asset_entries", ["user_id", "id"], unique=False
    )


def downgrade() -> None:
    op.drop_table("commerce_asset_entries")
    op.drop_table("commerce_order_items")
    op.drop_table("commerce_inventory_reservations")
    op.drop_table("commerce_balance_entries")
    op.drop_table("commerce_asset_balances")
    op.drop_table("commerce_orders")
    op.drop_table("commerce_inventory_items")
    op.drop_table("commerce_balances")
    op.drop_table("commerce_assets")
    op.drop_table("commerce_asset_transactions")
