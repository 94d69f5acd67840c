"""The three probes over a small HTTP server, for processes that have no other."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigurationError
from shared.monitoring import HealthEndpoints, HealthRegistry, HttpAnswer

if TYPE_CHECKING:
    from shared.config import MonitoringSettings

__all__ = ["ProbeServer"]

_TIMEOUT = 5.0  # seconds for a client to send its request
_NOT_FOUND = HttpAnswer(404, (("Content-Type", "text/plain"),), b"not found\n")


class ProbeServer:
    """Serves the probes from a thread of its own until :meth:`close`.

    Args:
        health: Whose checks and lifecycle decide.
        settings: Paths and who sees details.
        port: Where to listen, on all addresses; 0 takes a free one.

    Raises:
        ConfigurationError: The port cannot be had.
    """

    def __init__(self, health: HealthRegistry, settings: "MonitoringSettings", *, port: int) -> None:
        endpoints = HealthEndpoints(health, details=settings.HEALTH_DETAILS)
        answers = {
            settings.HEALTH_PATH: endpoints.health,
            settings.READY_PATH: endpoints.ready,
            settings.LIVE_PATH: lambda **_: endpoints.live(),
        }
        try:
            self._server = ThreadingHTTPServer(("", port), _handler(answers))
        except (OSError, OverflowError) as exc:
            msg = f"health_port {port}: cannot listen there ({exc}); choose another, or 0 for a free one"
            raise ConfigurationError(msg) from exc
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="shared-probes", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(answers: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT
        server_version = "probes"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            probe = answers.get(self.path.partition("?")[0])
            if probe is None:
                answer = _NOT_FOUND
            else:
                answer = probe(accept=self.headers.get("Accept", ""), client=self.client_address[0])
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if with_body:
                self.wfile.write(answer.body)

        def log_message(self, *_args: object) -> None:
            """Stay quiet: probes come every few seconds."""

    return Handler
