"""What the agents service is sent."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

UserId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
Text = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")]


class Hire(BaseModel):
    """An agent to be made."""

    user_id: UserId
    name: str = Field(pattern=r"^[A-Za-z0-9 -]{1,80}$")
    system: Literal["simple", "enhanced"] = "simple"


class Work(BaseModel):
    """A text to be summed up."""

    text: Text


class Said(BaseModel):
    """Something that is said to an agent."""

    content: Text


class Talk(BaseModel):
    """A conversation to be begun."""

    user_id: UserId
