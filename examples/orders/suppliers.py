"""The services that orders calls: behind breaker, retry and timeout, closed with the service."""

from examples.orders.settings import OrdersSettings
from shared.commerce import OrderEntity
from shared.config import get_settings
from shared.resilience import AsyncServiceClient
from shared.runtime import Runtime, current


class Suppliers:
    """One client for each service; the ids and the time left travel along."""

    def __init__(self, _runtime: Runtime) -> None:
        settings = get_settings(OrdersSettings).orders
        self.catalog = AsyncServiceClient(settings.CATALOG_URL, name="catalog", timeout=2.0)
        self.payments = AsyncServiceClient(settings.PAYMENTS_URL, name="payments", timeout=0.6)

    async def price_of(self, sku: str) -> int:
        """Ask the catalog what one piece costs, in cents."""
        answer = await self.catalog.get("/items/{sku}", path={"sku": sku})
        return int(answer.json()["data"]["price_cents"])

    async def charge(self, order: OrderEntity) -> str:
        """Have *order* paid; the key lets a try be repeated without paying twice."""
        charge = {"amount_cents": int(order.total * 100), "reference": str(order.id)}
        answer = await self.payments.post("/charges", json=charge, idempotency_key=f"order-{order.id}")
        return str(answer.json()["data"]["id"])

    async def aclose(self) -> None:
        """Close the connections; the runtime calls it."""
        await self.catalog.aclose()
        await self.payments.aclose()


def suppliers() -> Suppliers:
    """Return the clients of this service."""
    return current().get(Suppliers, Suppliers)
