"""Ask models of OpenAI, or of any server that speaks its API.

Chat completions (whole, streamed, with tools, in the shape of a pydantic model) and
embeddings, for threads and for coroutines: with time limits, one owner of retries, a
circuit breaker per model, fallback models, budgets, metrics, spans, and no prompt,
answer or key in any text. The SDK is imported by the first call.

Example:
    >>> create_chat_completion("Hello!", fallback="Somebody will answer you soon.").degraded
    True
"""

from shared.integrations.openai._accessors import (
    acreate_chat_completion,
    acreate_embedding,
    acreate_embeddings,
    astream_chat_completion,
    avalidate_model,
    create_chat_completion,
    create_embedding,
    create_embeddings,
    get_async_openai,
    get_openai,
    stream_chat_completion,
    validate_model,
)
from shared.integrations.openai._budget import AIBudget, AIBudgets
from shared.integrations.openai._client import OpenAIClient
from shared.integrations.openai._client_async import AsyncOpenAIClient
from shared.integrations.openai._errors import AIFailure
from shared.integrations.openai._models import ModelStatus
from shared.integrations.openai._options import OpenAIOptions
from shared.integrations.openai._prices import ModelPrice
from shared.integrations.openai._results import ChatResult, EmbeddingResult, TokenUsage, ToolCall
from shared.integrations.openai._stream import AsyncChatStream, ChatStream
from shared.integrations.openai._telemetry import AICallFinished
from shared.integrations.openai._tools import Tool
from shared.integrations.openai._vectors import cosine_similarity

__all__ = [
    "AIBudget",
    "AIBudgets",
    "AICallFinished",
    "AIFailure",
    "AsyncChatStream",
    "AsyncOpenAIClient",
    "ChatResult",
    "ChatStream",
    "EmbeddingResult",
    "ModelPrice",
    "ModelStatus",
    "OpenAIClient",
    "OpenAIOptions",
    "TokenUsage",
    "Tool",
    "ToolCall",
    "acreate_chat_completion",
    "acreate_embedding",
    "acreate_embeddings",
    "astream_chat_completion",
    "avalidate_model",
    "cosine_similarity",
    "create_chat_completion",
    "create_embedding",
    "create_embeddings",
    "get_async_openai",
    "get_openai",
    "stream_chat_completion",
    "validate_model",
]
