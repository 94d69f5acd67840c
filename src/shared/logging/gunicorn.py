"""Let gunicorn's own lines join the stream: ``logger_class = "shared.logging.gunicorn.GunicornLogger"``.

Imported by gunicorn, from that setting; nothing else needs it.
"""

from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped,unused-ignore]

from shared.errors import ConfigurationError
from shared.logging._configure import configure_logging
from shared.logging._state import STATE

__all__ = ["GunicornLogger"]


class GunicornLogger(Logger):  # type: ignore[misc,unused-ignore]  # gunicorn has no types
    """gunicorn's logger, with JSON lines from the first one on.

    Configures logging from the settings when nobody has, in the arbiter before the
    workers fork. gunicorn's ``--access-logfile -`` gives one structured line per
    request; leave it off when the application writes its own. Log files that
    gunicorn was given stay gunicorn's.

    Example:
        In ``gunicorn.conf.py``::

            logger_class = "shared.logging.gunicorn.GunicornLogger"

        >>> from shared.logging.gunicorn import GunicornLogger
        >>> GunicornLogger.__mro__[1].__module__
        'gunicorn.glogging'
    """

    def setup(self, cfg: Any) -> None:
        """Let gunicorn set up its levels and files, then see that a pipeline is there."""
        super().setup(cfg)
        if STATE.live():
            return
        try:
            configure_logging()
        except ConfigurationError as exc:
            configure_logging({})
            self.error("logging runs on its defaults: %s", exc)

    def access(self, resp: Any, _req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write the access line as fields."""
        if not getattr(self, "access_log_enabled", self.cfg.accesslog):
            return
        status = str(resp.status).partition(" ")[0]
        self.access_log.info(
            "request",
            extra={
                "method": environ.get("REQUEST_METHOD"),
                "path": environ.get("RAW_URI") or environ.get("PATH_INFO"),
                "status": int(status) if status.isdecimal() else status,
                "duration_ms": request_time.total_seconds() * 1000,
                "bytes_sent": getattr(resp, "sent", None),
                "client": environ.get("REMOTE_ADDR"),
                "user_agent": environ.get("HTTP_USER_AGENT"),
            },
        )
