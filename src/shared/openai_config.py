"""The documented spelling of :mod:`shared.integrations.openai`, for code that was written against it."""

from shared.config import get_openai_config
from shared.integrations.openai import (
    ChatResult,
    EmbeddingResult,
    ModelStatus,
    acreate_chat_completion,
    acreate_embedding,
    acreate_embeddings,
    astream_chat_completion,
    avalidate_model,
    cosine_similarity,
    create_chat_completion,
    create_embedding,
    create_embeddings,
    stream_chat_completion,
    validate_model,
)

__all__ = [
    "ChatResult",
    "EmbeddingResult",
    "ModelStatus",
    "acreate_chat_completion",
    "acreate_embedding",
    "acreate_embeddings",
    "astream_chat_completion",
    "avalidate_model",
    "cosine_similarity",
    "create_chat_completion",
    "create_embedding",
    "create_embeddings",
    "get_openai_config",
    "stream_chat_completion",
    "validate_model",
]
