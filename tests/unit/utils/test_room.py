import os
import subprocess
import sys
from pathlib import Path

import shared.resilience
import shared.utils


def test_retry_is_the_one_of_the_resilience_room():
    assert shared.utils.retry is shared.resilience.retry


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
