"""A headless Chromium, driven through its DevTools protocol."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", event => window.violations.push(
  event.violatedDirective + " refused " + (event.blockedURI || event.sourceFile)));
"""


def executable() -> str:
    """Return the browser; its absence is a failure, because these checks are asked for by name."""
    given = os.environ.get("CHROMIUM")
    found = given or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.fail("no Chromium found: apt-get install chromium, or set CHROMIUM to its path", pytrace=False)
    return found


class Page:
    """One tab: commands out, what the console says kept.

    Attributes:
        console: Errors and warnings, as text.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self.console: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")
        self.command("Page.addScriptToEvaluateOnNewDocument", source=WATCH)

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and return its result; events on the way are looked at."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(timeout=30))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._event(message)

    def _event(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.console.append(f"{params['entry']['source']}: {params['entry']['text']}")
        elif message.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(str(details.get("exception", {}).get("description", details["text"])))

    def open(self, url: str) -> None:
        """Go to *url*."""
        result = self.command("Page.navigate", url=url)
        assert "errorText" not in result, result["errorText"]

    def value(self, expression: str) -> Any:
        """Return what a piece of JavaScript evaluates to."""
        result = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 30.0) -> None:
        """Wait until the expression is true."""
        end = time.monotonic() + seconds
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < end, f"never true: {expression}; console: {self.console}"
            time.sleep(0.05)

    @property
    def violations(self) -> list[str]:
        """What the content security policy has refused."""
        found: list[str] = self.value("window.violations")
        return found

    def screenshot(self, name: str) -> None:
        """Write what is seen as PNG into the folder ``SCREENSHOTS``, if there is one."""
        if folder := os.environ.get("SCREENSHOTS"):
            picture = self.command("Page.captureScreenshot")["data"]
            Path(folder, name).write_bytes(base64.b64decode(picture))


@contextlib.contextmanager
def browser(profile: Path, stand_in: int, hosts: tuple[str, ...]) -> Iterator[Page]:
    """Yield a tab of a fresh browser that finds *hosts* at the port *stand_in*, and nothing else outside."""
    rules = [f"MAP {host}:443 127.0.0.1:{stand_in}" for host in hosts]
    rules.append("MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    program = executable()
    log = (profile.parent / "chromium.log").open("wb")
    process = subprocess.Popen(
        [
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--ignore-certificate-errors",
            f"--host-resolver-rules={', '.join(rules)}",
            f"--user-data-dir={profile}",
            "--remote-debugging-port=0",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    log.close()
    try:
        port = _debugging_port(process, profile)
        with connect(_tab_of(port), max_size=None, origin=None) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _debugging_port(process: "subprocess.Popen[bytes]", profile: Path) -> int:
    told = profile / "DevToolsActivePort"
    end = time.monotonic() + 60
    while not (told.exists() and told.read_text().count("\n")):
        assert process.poll() is None, (profile.parent / "chromium.log").read_text()[-2000:]
        assert time.monotonic() < end, "Chromium did not open its debugging port within 60 s"
        time.sleep(0.05)
    return int(told.read_text().splitlines()[0])


def _tab_of(port: int) -> str:
    end = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
            tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
        if tabs:
            return str(tabs[0]["webSocketDebuggerUrl"])
        assert time.monotonic() < end, "Chromium has no tab"
        time.sleep(0.05)
