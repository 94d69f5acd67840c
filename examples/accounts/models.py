"""What the accounts service is sent."""

from pydantic import BaseModel, Field


class Credentials(BaseModel):
    """Who somebody claims to be."""

    email: str = Field(pattern=r"^[^@\s]{1,64}@[^@\s]{1,190}$")
    password: str = Field(max_length=256)


class Renewal(BaseModel):
    """The right to a new access token."""

    refresh_token: str = Field(max_length=8192)
