"""What the orders service is sent."""

from typing import Annotated

from pydantic import BaseModel, Field

Sku = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]


class Wanted(BaseModel):
    """What a customer asks for."""

    sku: Sku
    quantity: int = Field(gt=0, le=10_000)
    card_number: str | None = Field(default=None, min_length=12, max_length=19)
    email: str | None = Field(default=None, max_length=254, description="Where the receipt goes.")


class Delivery(BaseModel):
    """What came in for the shelves."""

    quantity: int = Field(gt=0, le=1000)
