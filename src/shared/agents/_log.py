"""What the log says of runs and exchanges: that they were, never what was said."""

from shared.agents._entities import AgentInteractionEntity, TaskEntity, TaskExecutionEntity
from shared.logging import get_agent_logger

__all__ = ["log_interaction", "log_run"]


def log_run(task: TaskEntity, run: TaskExecutionEntity | None) -> None:
    """Log the end of a run; what the task is about is not in the line."""
    status: str = task.status if run is None else run.status
    if run is not None and run.status == "failed" and task.status == "pending":
        status = "retrying"
    get_agent_logger().log_task_execution(
        task.name,
        status,
        None if run is None or run.duration_ms is None else round(run.duration_ms, 1),
        task.user_id,
        task_id=str(task.id),
        attempt=None if run is None else run.attempt,
        tokens=None if run is None else run.tokens,
    )


def log_interaction(made: AgentInteractionEntity) -> None:
    """Log an exchange; what was said is not in the line."""
    get_agent_logger().log_agent_interaction(
        "" if made.agent_id is None else str(made.agent_id),
        made.kind,
        "success" if made.is_success else "failed",
        made.duration_ms,
        made.user_id,
        tokens=made.tokens,
    )
