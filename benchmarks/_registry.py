"""The tables there are: one module ``bench_*.py`` each, found by name."""

import importlib
import pkgutil
from functools import cache

import benchmarks
from benchmarks._model import Table


@cache
def tables() -> dict[str, Table]:
    """Return every table by name, in the order of the modules."""
    found: dict[str, Table] = {}
    for info in pkgutil.iter_modules(benchmarks.__path__):
        if info.name.startswith("bench_"):
            for table in importlib.import_module(f"benchmarks.{info.name}").TABLES:
                if table.name in found:
                    msg = f"two tables are called {table.name!r}"
                    raise ValueError(msg)
                found[table.name] = table
    return found


def table(name: str) -> Table:
    """Return the table *name*."""
    return tables()[name]
