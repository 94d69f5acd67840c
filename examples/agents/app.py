"""agents: has texts summed up and questions answered by a model, and stays up without one. FastAPI.

OPENAI_API_KEY=… DATABASE_URL=sqlite:///agents.db uvicorn examples.agents.app:app --port 8005
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from fastapi import FastAPI

from examples.agents.brain import reply, summarise, talks, tasks
from examples.agents.models import Hire, Said, Talk, Work
from shared.agents import (
    AgentEntity,
    AsyncAgentDAO,
    ConversationEntity,
    MessageEntity,
    TaskEntity,
    TaskExecutionEntity,
    aget_agent_config_for_system,
)  # fmt: skip
from shared.api.fastapi import EnvelopeRoute
from shared.database import Base, get_database, tables_of
from shared.service import install


@asynccontextmanager
async def open_office(_app: Any) -> AsyncIterator[None]:
    """Do what `shared db upgrade` does for a service with migrations."""
    await asyncio.to_thread(Base.metadata.create_all, get_database().engine, tables_of("agents"))
    yield


app = install(FastAPI(title="agents", lifespan=open_office), service="agents")
app.router.route_class = EnvelopeRoute
agents = AsyncAgentDAO()


@app.post("/agents", status_code=201)
async def hire(new: Hire) -> AgentEntity:
    return await agents.create_agent(new.model_dump())


@app.get("/agents/{agent_id}/config")
async def config_of(agent_id: UUID) -> dict[str, Any]:
    config = await aget_agent_config_for_system(agent_id=agent_id)
    return {key: {"value": config[key], "source": config.source(key)} for key in config}


@app.post("/agents/{agent_id}/tasks", status_code=201)
async def work(agent_id: UUID, wanted: Work) -> TaskEntity:
    agent = await agents.get_agent(agent_id)
    config = await aget_agent_config_for_system(agent_id=agent_id)
    new = {
        "user_id": agent.user_id,
        "agent_id": agent.id,
        "name": "summarise",
        "payload": wanted.model_dump(),
    }
    return await summarise(await tasks.create_task(new), config)


@app.get("/tasks/{task_id}/executions")
async def runs_of(task_id: UUID) -> list[TaskExecutionEntity]:
    return await tasks.list_executions(task_id)


@app.post("/conversations", status_code=201)
async def begin(new: Talk) -> ConversationEntity:
    return await talks.create_conversation(new.model_dump())


@app.post("/conversations/{conversation_id}/messages", status_code=201)
async def say(conversation_id: UUID, said: Said) -> MessageEntity:
    talk = await talks.get_conversation(conversation_id)
    await talks.create_message(talk.id, {"role": "user", "content": said.content})
    return await reply(talk, await aget_agent_config_for_system(agent_id=talk.agent_id))
