"""What psycopg is told when it connects."""

from typing import Any

from shared.database._url import Target

__all__ = ["connect_arguments"]


def connect_arguments(target: Target, *, read_only: bool) -> dict[str, Any]:
    """Return the arguments for :func:`psycopg.connect`.

    Limits travel as start-up parameters, so they cost no round trip. A pooler in
    between refuses those, and prepared statements with them.
    """
    options = target.options
    arguments: dict[str, Any] = {
        # libpq counts whole seconds and takes 1 for 2.
        "connect_timeout": max(2, round(options.connect_timeout)),
        "application_name": options.application_name,
        "client_encoding": "utf8",  # a server without an encoding would answer in bytes
    }
    if options.pooler:
        arguments["prepare_threshold"] = None
        return arguments
    settings = {"timezone": "UTC"}
    if options.statement_timeout is not None:
        settings["statement_timeout"] = str(max(1, int(options.statement_timeout * 1000)))
    if options.idle_in_transaction_timeout is not None:
        limit = max(1, int(options.idle_in_transaction_timeout * 1000))
        settings["idle_in_transaction_session_timeout"] = str(limit)
    if read_only:
        settings["default_transaction_read_only"] = "on"
    if target.schema is not None:
        settings["search_path"] = target.schema
    given = target.url.query.get("options")
    flags = [str(given)] if given else []
    flags += [f"-c {name}={value}" for name, value in settings.items()]
    arguments["options"] = " ".join(flags)
    return arguments
