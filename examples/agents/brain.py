"""How an agent thinks: asks the model as it is configured, and writes down what came of it."""

import time
from typing import Any

from shared.agents import (
    AgentSystemConfig,
    AsyncAgentInteractionDAO,
    AsyncConversationDAO,
    AsyncTaskDAO,
    MessageEntity,
    TaskEntity,
)
from shared.errors import SharedError
from shared.integrations.openai import ChatResult, acreate_chat_completion, get_async_openai

tasks, talks, exchanges = AsyncTaskDAO(), AsyncConversationDAO(), AsyncAgentInteractionDAO()


def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


def first_sentence(text: str) -> str:
    """Sum up without a model: better than nothing, and marked as such."""
    return text.split(". ", maxsplit=1)[0][:200]


async def summarise(task: TaskEntity, config: AgentSystemConfig) -> TaskEntity:
    """Run a task once; its execution has the tokens and what went wrong."""
    await tasks.start_task(task.id)
    text = task.payload["text"]
    try:
        answer = await ask(text, config, user_id=task.user_id)
    except SharedError as error:
        await tasks.fail_task(task.id, error)
        raise
    output = {"summary": answer.text, "model": answer.model, "degraded": answer.degraded}
    return await tasks.succeed_task(task.id, output=output, tokens=answer.usage.total)


async def ask(text: str, config: AgentSystemConfig, *, user_id: str) -> ChatResult:
    """Have *text* summed up; the enhanced system may count words before it answers."""
    messages = [
        {"role": "system", "content": config["instructions"] or "Sum up the text in one sentence."},
        {"role": "user", "content": text},
    ]
    options: dict[str, Any] = {
        "model": config["model"],
        "temperature": config["temperature"],
        "max_tokens": config["max_tokens"],
        "user_id": user_id,
        "fallback": first_sentence(text),
    }
    if config.system == "enhanced":
        rounds = config["max_iterations"]
        return await get_async_openai().run_tools(messages, [count_words], max_rounds=rounds, **options)
    return await acreate_chat_completion(messages, **options)


async def reply(talk: Any, config: AgentSystemConfig) -> MessageEntity:
    """Answer the last message of a conversation, remembering as many as the agent may."""
    last = config["memory_max_messages"] if config["memory_enabled"] else 1
    said = await talks.list_messages(talk.id, last=last)
    began = time.perf_counter()
    answer = await acreate_chat_completion(
        [{"role": message.role, "content": message.content} for message in said],
        model=config["model"],
        user_id=talk.user_id,
        fallback="I cannot think right now; please ask again later.",
    )
    await exchanges.create_interaction(
        {
            "user_id": talk.user_id,
            "kind": "chat",
            "is_success": not answer.degraded,
            "duration_ms": (time.perf_counter() - began) * 1000,
            "tokens": answer.usage.total,
        }
    )
    return await talks.create_message(talk.id, {"role": "assistant", "content": answer.text})
