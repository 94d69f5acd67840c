"""The tests that the documentation shows pass, on every engine."""

from pathlib import Path

import pytest

from tests.docs.run_page import blocks_of
from tests.integration.testing._suite import outcomes, run

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("page", "passed"),
    [("how-to/test-a-service.md", 19), ("reference/testing.md", 3)],
    ids=["how-to", "reference"],
)
def test_the_tests_of_a_page_pass(tmp_path, page, passed):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    code = [block.code for block in blocks_of(text) if block.language == "python"]
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_mode = auto\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )
    (tmp_path / "test_page.py").write_text("\n\n".join(code), encoding="utf-8")

    result = run(tmp_path, "-p", "pytest_asyncio.plugin")

    assert outcomes(result) == {"passed": passed}, result.stdout[-6000:] + result.stderr[-2000:]
