import os
import subprocess
import sys
from pathlib import Path

import pytest

import shared.resilience
import shared.utils


def test_retry_is_the_one_of_the_resilience_room():
    assert shared.utils.retry is shared.resilience.retry


def test_every_name_of_the_room_is_found_by_dir():
    assert set(shared.utils.__all__) <= set(dir(shared.utils))


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'generate_uid'"):
        _ = shared.utils.generate_uid


def test_importing_the_room_loads_no_third_party_package():
    code = (
        "import sys; before = set(sys.modules); import shared.utils; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "sys.exit(', '.join(sorted(new - set(sys.stdlib_module_names) - {'shared'})) or None)"
    )

    source = str(Path(shared.utils.__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": source},
    )

    assert (result.returncode, result.stderr) == (0, "")
