"""Make a virtual environment, or say exactly why it cannot be made.

Usage: ``python3 .ci/make_venv.py .venv``. Written for any Python 3, so that an old one
gets a sentence instead of a syntax error. ``.made`` inside the folder is written last:
an interrupted run leaves no stamp, and the next run starts from nothing.
"""

import os
import shutil
import subprocess
import sys

NEEDED = (3, 11)


def stop(message):
    """End with *message* and exit code 1."""
    sys.stderr.write("error: " + message + "\n")
    raise SystemExit(1)


def check_interpreter():
    """Refuse an interpreter that cannot make the environment."""
    have = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < NEEDED:
        stop(
            "Python {}.{} or newer is needed, {} is {}; run: make PYTHON=python3.12 ...".format(
                NEEDED[0], NEEDED[1], sys.executable, have
            )
        )
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            stop(
                "{} has no {} module; install your system's package for it "
                "(Debian, Ubuntu: python3-venv), or run: make PYTHON=<another python>".format(
                    sys.executable, module
                )
            )


def clear_remains(folder):
    """Remove what an interrupted run left; never a folder that is not an environment."""
    if not os.path.lexists(folder):
        return
    ours = os.path.isdir(folder) and (
        not os.listdir(folder) or os.path.exists(os.path.join(folder, "pyvenv.cfg"))
    )
    if not ours:
        stop(
            "{} exists and is not a virtual environment; move it away, "
            "or run: make VENV=<another folder>".format(folder)
        )
    shutil.rmtree(folder)


def main(folder):
    """Make *folder*, check that its pip answers, and leave the stamp."""
    check_interpreter()
    clear_remains(folder)
    sys.stdout.write("== creating {} with Python {}.{}\n".format(folder, *sys.version_info[:2]))
    sys.stdout.flush()
    pip = [os.path.join(folder, "bin", "python"), "-m", "pip", "--version"]
    if subprocess.call([sys.executable, "-m", "venv", folder]) or subprocess.call(
        pip, stdout=subprocess.DEVNULL
    ):
        stop("the virtual environment {} could not be made; the lines above say why".format(folder))
    with open(os.path.join(folder, ".made"), "w") as stamp:
        stamp.write(sys.version + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
