"""A stand-in for the hosts that documentation pages load from, on loopback and over TLS.

``DOCS_ASSETS`` may name a folder with the real bundles, laid out as on the CDN:
``npm/swagger-ui-dist@5/swagger-ui-bundle.js``, ``npm/redoc@2/bundles/redoc.standalone.js``.
Without it the pages get small scripts that do what those do as far as a policy
cares: inline styles, a request for the document, data: images, a blob: worker.
"""

import contextlib
import os
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

HOSTS = (
    "cdn.jsdelivr.net",
    "fonts.googleapis.com",
    "fonts.gstatic.com",
    "fastapi.tiangolo.com",
    "cdn.redoc.ly",
)
KINDS = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # one pixel
SHOW = """
function show(into, url, name) {
  const style = document.createElement("style");
  style.textContent = ".path { color: rgb(1, 2, 3) }";
  document.head.append(style);
  return fetch(url).then(answer => answer.json()).then(document_ => {
    for (const path of Object.keys(document_.paths)) {
      const line = document.createElement("div");
      line.className = name;
      line.setAttribute("style", "background-image: url(PIXEL)");
      line.innerHTML = '<span class="path">' + path + '</span><img src="PIXEL">';
      into.append(line);
    }
  });
}
""".replace("PIXEL", PIXEL)
SWAGGER = (
    SHOW
    + """
window.SwaggerUIBundle = options =>
  show(document.querySelector(options.dom_id), options.url, "opblock");
SwaggerUIBundle.presets = {apis: []};
"""
)
REDOC = (
    SHOW
    + """
const place = document.querySelector("redoc");
const worker = new Worker(URL.createObjectURL(new Blob(["postMessage(7)"])));
worker.onmessage = () => show(place, place.getAttribute("spec-url"), "operation");
"""
)
OWN = {
    "/npm/swagger-ui-dist@5/swagger-ui-bundle.js": SWAGGER,
    "/npm/swagger-ui-dist@5/swagger-ui.css": ".path { font-weight: bold }",
    "/npm/redoc@2/bundles/redoc.standalone.js": REDOC,
}


def has_real_bundles() -> bool:
    """Tell whether the real bundles are served."""
    return bool(os.environ.get("DOCS_ASSETS"))


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        body = _real(path) if has_real_bundles() else OWN.get(path, "").encode()
        self.send_response(200)
        self.send_header("Content-Type", KINDS.get(Path(path).suffix, "text/css"))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def _real(path: str) -> bytes:
    root = Path(os.environ["DOCS_ASSETS"]).resolve()
    file = (root / path.lstrip("/")).resolve()
    return file.read_bytes() if file.is_relative_to(root) and file.is_file() else b""


@contextlib.contextmanager
def stand_in() -> Iterator[int]:
    """Serve in a thread; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(*HOSTS).configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
