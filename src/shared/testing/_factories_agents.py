"""Factories of the room ``agents``."""

from shared.agents import (
    Agent,
    AgentConfig,
    AgentInteraction,
    Conversation,
    Message,
    Task,
    TaskExecution,
)
from shared.database import uuid7
from shared.testing._factory_base import ModelFactory, declared, factory

__all__ = [
    "AgentConfigFactory",
    "AgentFactory",
    "AgentInteractionFactory",
    "ConversationFactory",
    "MessageFactory",
    "TaskExecutionFactory",
    "TaskFactory",
]


@declared
class AgentFactory(ModelFactory):
    """An active agent of the simple system.

    Example:
        >>> AgentFactory.build(system="enhanced").status
        'active'
    """

    class Meta:
        model = Agent

    id = factory.LazyFunction(uuid7)
    user_id = factory.Sequence(lambda n: f"user-{n}")
    name = factory.Sequence(lambda n: f"agent {n}")
    system = "simple"
    status = "active"


@declared
class AgentConfigFactory(ModelFactory):
    """The configuration of an agent, with the agent; ``agent_id=None`` for one of the whole system.

    Example:
        >>> AgentConfigFactory.build(temperature=0.2).system
        'simple'
    """

    class Meta:
        model = AgentConfig

    class Params:
        agent = factory.SubFactory(AgentFactory)

    id = factory.LazyFunction(uuid7)
    agent_id = factory.SelfAttribute("agent.id")
    system = factory.SelfAttribute("agent.system")


@declared
class TaskFactory(ModelFactory):
    """A task that waits.

    Example:
        >>> TaskFactory.build(name="sum").status
        'pending'
    """

    class Meta:
        model = Task

    id = factory.LazyFunction(uuid7)
    user_id = factory.Sequence(lambda n: f"user-{n}")
    name = factory.Sequence(lambda n: f"task {n}")
    status = "pending"
    payload = factory.LazyFunction(dict)


@declared
class TaskExecutionFactory(ModelFactory):
    """The first run of a task, with the task.

    Example:
        >>> TaskExecutionFactory.build().attempt
        1
    """

    class Meta:
        model = TaskExecution

    class Params:
        task = factory.SubFactory(TaskFactory, status="running")

    id = factory.LazyFunction(uuid7)
    task_id = factory.SelfAttribute("task.id")
    attempt = 1
    status = "running"


@declared
class AgentInteractionFactory(ModelFactory):
    """An exchange, with the agent.

    Example:
        >>> AgentInteractionFactory.build(kind="chat").is_success
        True
    """

    class Meta:
        model = AgentInteraction

    class Params:
        agent = factory.SubFactory(AgentFactory)

    id = factory.LazyFunction(uuid7)
    agent_id = factory.SelfAttribute("agent.id")
    user_id = factory.SelfAttribute("agent.user_id")
    kind = "chat"
    request = factory.LazyFunction(lambda: {"text": "hello"})
    response = factory.LazyFunction(lambda: {"text": "hello to you"})
    is_success = True
    duration_ms = 12.5
    tokens = 7


@declared
class ConversationFactory(ModelFactory):
    """A conversation without messages; ``messages=[MessageFactory.build(…)]`` gives it some.

    Example:
        >>> ConversationFactory.build(title="the invoice").title
        'the invoice'
    """

    class Meta:
        model = Conversation

    id = factory.LazyFunction(uuid7)
    user_id = factory.Sequence(lambda n: f"user-{n}")
    title = factory.Sequence(lambda n: f"conversation {n}")


@declared
class MessageFactory(ModelFactory):
    """Something the user said, with the conversation.

    Example:
        >>> MessageFactory.build(content="hello").role
        'user'
    """

    class Meta:
        model = Message

    class Params:
        conversation = factory.SubFactory(ConversationFactory)

    id = factory.LazyFunction(uuid7)
    conversation_id = factory.SelfAttribute("conversation.id")
    position = factory.Sequence(lambda n: n + 1)
    role = "user"
    content = factory.Sequence(lambda n: f"message {n}")
