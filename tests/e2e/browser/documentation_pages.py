"""``/docs`` and ``/redoc`` in a real Chromium: our headers let them work, and nothing more.

Run by ``make browser``; the name keeps it out of ``make test``, which must hold on
machines without a browser.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from shared.service import install, uninstall
from tests.e2e.browser import _cdn
from tests.e2e.browser._chromium import Page, browser
from tests.integration.api._servers import uvicorn_server

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """Serve an installed application with every policy in force; yields its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENVIRONMENT", "testing")
        app = FastAPI(title="orders")

        @app.get("/orders/{order_id}")
        async def order(order_id: int) -> dict[str, int]:
            return {"id": order_id}

        @app.get("/page", response_class=HTMLResponse)
        async def page() -> str:
            return "<script>document.title = 'inline ran'</script><p id=here>here</p>"

        install(app, service="orders")
        try:
            with uvicorn_server(app) as port:
                yield f"http://127.0.0.1:{port}"
        finally:
            uninstall(app)


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Page]:
    with _cdn.stand_in() as port, browser(tmp_path / "profile", port, _cdn.HOSTS) as page:
        yield page


def test_swagger_page_shows_the_operations_and_nothing_is_refused(service: str, tab: Page) -> None:
    tab.open(f"{service}/docs")

    tab.wait_for("document.querySelector('.opblock')?.innerText.includes('/orders/')")
    tab.screenshot("docs.png")
    assert tab.violations == []
    assert [line for line in tab.console if "Content Security Policy" in line] == []


def test_redoc_page_shows_the_operations_and_nothing_is_refused(service: str, tab: Page) -> None:
    tab.open(f"{service}/redoc")

    tab.wait_for("document.body?.innerText.includes('/orders/')")
    tab.screenshot("redoc.png")
    assert tab.violations == []
    assert [line for line in tab.console if "Content Security Policy" in line] == []


def test_page_of_the_documentation_may_call_its_own_service(service: str, tab: Page) -> None:
    tab.open(f"{service}/docs")
    tab.wait_for("document.querySelector('.opblock')")

    answer = tab.value("fetch('/orders/7').then(answer => answer.json())")

    assert answer == {"id": 7}


@pytest.mark.parametrize(
    ("directive", "script"),
    [
        ("script-src-elem", "s=document.createElement('script');s.src='https://evil.example/x.js'"),
        ("frame-src", "s=document.createElement('iframe');s.src='https://evil.example/'"),
        ("img-src", "s=document.createElement('img');s.src='https://evil.example/x.png'"),
    ],
    ids=["script", "frame", "image"],
)
def test_page_of_the_documentation_may_load_from_no_stranger(
    service: str, tab: Page, directive: str, script: str
) -> None:
    tab.open(f"{service}/docs")
    tab.wait_for("document.querySelector('.opblock')")

    tab.value(f"{{let {script};document.body.append(s)}}")

    tab.wait_for("window.violations.length")
    assert any(found.startswith(directive) for found in tab.violations)


def test_page_of_the_documentation_may_send_nothing_to_a_stranger(service: str, tab: Page) -> None:
    tab.open(f"{service}/docs")
    tab.wait_for("document.querySelector('.opblock')")

    outcome = tab.value("fetch('https://evil.example/').then(() => 'sent', () => 'refused')")

    assert outcome == "refused"
    assert any(found.startswith("connect-src") for found in tab.violations)


def test_window_of_the_oauth2_redirect_runs_its_script(service: str, tab: Page) -> None:
    tab.open(f"{service}/docs/oauth2-redirect")

    tab.wait_for("document.readyState === 'complete'")
    assert tab.violations == []


def test_pages_elsewhere_run_no_inline_script(service: str, tab: Page) -> None:
    tab.open(f"{service}/page")

    tab.wait_for("document.querySelector('#here')")
    assert tab.value("document.title") != "inline ran"
    tab.wait_for("window.violations.length")
    assert any(found.startswith("script-src") for found in tab.violations)
