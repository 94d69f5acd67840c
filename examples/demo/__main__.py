"""Run the tour: `python -m examples.demo [--serve] [--json] [--postgres URL]`."""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from examples.demo._fleet import ROOT, Server, free_port
from examples.demo._report import Report
from examples.demo._tour import take_tour
from shared.testing import RedisServer


def main() -> int:
    """Start the fleet, take the tour, stop the fleet; return 0 when everything held."""
    options = _options()
    report = Report(as_json=options.json)
    with tempfile.TemporaryDirectory(prefix="shared-demo-") as folder, RedisServer() as redis:
        fleet = _fleet(Path(folder), redis, options.postgres)
        services = []
        try:
            kept = "PostgreSQL" if options.postgres else "SQLite"
            report.heading(f"Starting four services on loopback; orders keeps its data in {kept}")
            for server in fleet:
                server.start()
            for server in fleet:
                with report.step(f"{server.name} answers /live") as facts:
                    seconds = server.wait_until_live()
                    facts.append(f"{server.url} after {seconds:.1f} s")
                    services.append(_row(server, seconds))
            if not report.failed:
                take_tour(report, *fleet, redis=redis, stop_at_end=not options.serve)
            report.summary(services)
            if options.serve and not report.failed:
                _serve(fleet)
        finally:
            for server in fleet:
                server.stop()
    return 1 if report.failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="keep the services running until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--postgres", metavar="URL", help="keep the orders in this PostgreSQL, not in SQLite")
    options = parser.parse_args()
    if options.postgres and not options.postgres.startswith(("postgresql://", "postgres://")):
        parser.error("--postgres takes a URL such as postgresql://user:password@host:5432/name")
    return options


def _fleet(
    folder: Path, redis: RedisServer, database_url: str | None = None
) -> tuple[Server, Server, Server, Server]:
    catalog_port, payments_port, orders_port, accounts_port = (free_port() for _ in range(4))
    secret, notices = secrets.token_urlsafe(48), f"whsec_{secrets.token_hex(16)}"
    # What a deployment would set; the library refuses to start in production without.
    common = {
        "ENVIRONMENT": "production",
        "ENV_FILE": "off",
        "JWT_SECRET_KEY": secret,
        "DB_ALLOW_SQLITE": "true",
        "DRAIN_DELAY_SECONDS": "0.3",
        "DRAIN_TIMEOUT_SECONDS": "5",
        "MAX_BODY_BYTES": "20000",
        "HEALTH_CACHE_SECONDS": "0",
        "BREAKER_RECOVERY_TIMEOUT": "1.5",
        "RETRY_DELAY": "0.02",
    }
    catalog = Server(
        "catalog",
        ["-m", "waitress", f"--listen=127.0.0.1:{catalog_port}", "examples.catalog.app:app"],
        catalog_port,
        folder / "catalog.log",
        {
            **common,
            "REDIS_URL": str.__str__(redis.url),
            "FLAGS_STORE_URL": (folder / "flags.json").as_uri(),
            "FLAGS_REFRESH_SECONDS": "1",
        },
    )
    payments = Server(
        "payments_stub",
        ["-m", "waitress", f"--listen=127.0.0.1:{payments_port}", "examples.payments_stub.app:app"],
        payments_port,
        folder / "payments.log",
        {
            **common,
            "NOTICE_URL": f"http://127.0.0.1:{orders_port}/webhooks/payments",
            "NOTICE_SECRET": notices,
        },
    )
    orders = Server(
        "orders",
        ["-m", "uvicorn", "examples.orders.app:app", "--host=127.0.0.1", f"--port={orders_port}"],
        orders_port,
        folder / "orders.log",
        {
            **common,
            "CATALOG_URL": catalog.url,
            "PAYMENTS_URL": payments.url,
            "DATABASE_URL": database_url or f"sqlite:///{folder}/orders.db",
            "DB_ALLOW_PLAINTEXT": "true",
            "IDEMPOTENCY_STORE": "database://",
            "PAYMENTS_WEBHOOK_SECRET": notices,
            "STORAGE_URL": f"file://{folder}/objects",
            "EMAIL_BACKEND": "memory",
            "EMAIL_FROM": "shop@example.com",
        },
    )
    accounts = Server(
        "accounts",
        ["-m", "uvicorn", "examples.accounts.app:app", "--host=127.0.0.1", f"--port={accounts_port}"],
        accounts_port,
        folder / "accounts.log",
        {
            **common,
            "ADMIN_PASSWORD": secrets.token_urlsafe(12),
            "PAYMENTS_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}",
        },
    )
    return catalog, payments, orders, accounts


def _row(server: Server, seconds: float) -> dict[str, object]:
    source = (ROOT / "examples" / server.name / "app.py").read_text()
    return {
        "name": server.name,
        "server": server.command[1],
        "url": server.url,
        "lines": len(source.splitlines()),
        "start": seconds,
    }


def _serve(fleet: tuple[Server, ...]) -> None:
    print("\n  Running until Ctrl-C. Try:")
    for server in fleet:
        print(f"    curl -s {server.url}/health")
    orders = fleet[2]
    print(f"    open {orders.url}/docs")
    try:
        while all(server.process is not None and server.process.poll() is None for server in fleet):
            time.sleep(0.5)
    except KeyboardInterrupt:
        print("\n  stopping")


if __name__ == "__main__":
    sys.exit(main())
