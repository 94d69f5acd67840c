"""agents, tasks and conversations"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from shared.database import Json, UTCDateTime

revision: str = "agents_0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("agents",)
depends_on: str | Sequence[str] | None = None
phase: str = "expand"


def upgrade() -> None:
    op.create_table(
        "agents_agents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("system", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("details", Json(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'paused', 'retired')", name=op.f("ck_agents_agents_status")),
        sa.CheckConstraint("system IN ('simple', 'enhanced')", name=op.f("ck_agents_agents_system")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_agents")),
    )
    op.create_index(op.f("ix_agents_agents_deleted_at"), "agents_agents", ["deleted_at"], unique=False)
    op.create_index("ix_agents_agents_user_id_id", "agents_agents", ["user_id", "id"], unique=False)
    op.create_table(
        "agents_configs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("system", sa.String(length=20), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=True),
        sa.Column("temperature", sa.Double(), nullable=True),
        sa.Column("max_tokens", sa.Integer(), nullable=True),
        sa.Column("task_timeout", sa.Double(), nullable=True),
        sa.Column("max_attempts", sa.Integer(), nullable=True),
        sa.Column("retry_delay", sa.Double(), nullable=True),
        sa.Column("max_iterations", sa.Integer(), nullable=True),
        sa.Column("memory_enabled", sa.Boolean(), nullable=True),
        sa.Column("memory_max_messages", sa.Integer(), nullable=True),
        sa.Column("tools", Json(), nullable=True),
        sa.Column("tool_timeout", sa.Double(), nullable=True),
        sa.Column("instructions", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("system IN ('simple', 'enhanced')", name=op.f("ck_agents_configs_system")),
        sa.CheckConstraint("max_attempts > 0", name=op.f("ck_agents_configs_max_attempts")),
        sa.CheckConstraint("max_iterations > 0", name=op.f("ck_agents_configs_max_iterations")),
        sa.CheckConstraint("max_tokens > 0", name=op.f("ck_agents_configs_max_tokens")),
        sa.CheckConstraint("memory_max_messages > 0", name=op.f("ck_agents_configs_memory_max_messages")),
        sa.CheckConstraint("retry_delay >= 0", name=op.f("ck_agents_configs_retry_delay")),
        sa.CheckConstraint("task_timeout > 0 AND tool_timeout > 0", name=op.f("ck_agents_configs_timeouts")),
        sa.CheckConstraint(
            "temperature >= 0 AND temperature <= 2", name=op.f("ck_agents_configs_temperature")
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents_agents.id"],
            name=op.f("fk_agents_configs_agent_id_agents_agents"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_configs")),
        sa.UniqueConstraint("agent_id", "system", name=op.f("uq_agents_configs_agent_id_system")),
    )
    op.create_index(
        "uq_agents_configs_of_all",
        "agents_configs",
        ["system"],
        unique=True,
        postgresql_where=sa.text("agent_id IS NULL"),
        sqlite_where=sa.text("agent_id IS NULL"),
    )
    op.create_table(
        "agents_conversations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents_agents.id"],
            name=op.f("fk_agents_conversations_agent_id_agents_agents"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_conversations")),
    )
    op.create_index(
        op.f("ix_agents_conversations_agent_id"), "agents_conversations", ["agent_id"], unique=False
    )
    op.create_index(
        op.f("ix_agents_conversations_deleted_at"), "agents_conversations", ["deleted_at"], unique=False
    )
    op.create_index(
        "ix_agents_conversations_user_id_id", "agents_conversations", ["user_id", "id"], unique=False
    )
    op.create_table(
        "agents_interactions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("request", Json(), nullable=True),
        sa.Column("response", Json(), nullable=True),
        sa.Column("is_success", sa.Boolean(), nullable=False),
        sa.Column("duration_ms", sa.Double(), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint("duration_ms >= 0 AND tokens >= 0", name=op.f("ck_agents_interactions_measures")),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents_agents.id"],
            name=op.f("fk_agents_interactions_agent_id_agents_agents"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_interactions")),
    )
    op.create_index(
        op.f("ix_agents_interactions_agent_id"), "agents_interactions", ["agent_id"], unique=False
    )
    op.create_index(
        op.f("ix_agents_interactions_created_at"), "agents_interactions", ["created_at"], unique=False
    )
    op.create_index(
        "ix_agents_interactions_user_id_id", "agents_interactions", ["user_id", "id"], unique=False
    )
    op.create_table(
        "agents_tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("payload", Json(), nullable=True),
        sa.Column("result", Json(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("available_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_agents_tasks_status"),
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents_agents.id"],
            name=op.f("fk_agents_tasks_agent_id_agents_agents"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_tasks")),
    )
    op.create_index(op.f("ix_agents_tasks_agent_id"), "agents_tasks", ["agent_id"], unique=False)
    op.create_index(
        "ix_agents_tasks_status_available_at", "agents_tasks", ["status", "available_at"], unique=False
    )
    op.create_index("ix_agents_tasks_user_id_id", "agents_tasks", ["user_id", "id"], unique=False)
    op.create_table(
        "agents_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=True),
        sa.Column("details", Json(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "role IN ('system', 'user', 'assistant', 'tool')", name=op.f("ck_agents_messages_role")
        ),
        sa.CheckConstraint("position > 0", name=op.f("ck_agents_messages_position")),
        sa.CheckConstraint("tokens >= 0", name=op.f("ck_agents_messages_tokens")),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agents_conversations.id"],
            name=op.f("fk_agents_messages_conversation_id_agents_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_messages")),
        sa.UniqueConstraint(
            "conversation_id", "position", name=op.f("uq_agents_messages_conversation_id_position")
        ),
    )
    op.create_table(
        "agents_task_executions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("duration_ms", sa.Double(), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=True),
        sa.Column("output", Json(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_agents_task_executions_status"),
        ),
        sa.CheckConstraint("attempt > 0", name=op.f("ck_agents_task_executions_attempt")),
        sa.CheckConstraint(
            "duration_ms >= 0 AND tokens >= 0", name=op.f("ck_agents_task_executions_measures")
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["agents_tasks.id"],
            name=op.f("fk_agents_task_executions_task_id_agents_tasks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_task_executions")),
        sa.UniqueConstraint("task_id", "attempt", name=op.f("uq_agents_task_executions_task_id_attempt")),
    )
    op.create_index(
        op.f("ix_agents_task_executions_started_at"), "agents_task_executions", ["started_at"], unique=False
    )


def downgrade() -> None:
    op.drop_table("agents_task_executions")
    op.drop_table("agents_messages")
    op.drop_table("agents_tasks")
    op.drop_table("agents_interactions")
    op.drop_table("agents_conversations")
    op.drop_table("agents_configs")
    op.drop_table("agents_agents")
