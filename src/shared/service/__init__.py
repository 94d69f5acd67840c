"""A whole service in one call.

``install(app)`` gives a FastAPI, Starlette or Flask application its settings,
logs, ids, error answers, headers, limits, health and an orderly end;
``worker(name)`` gives a worker, a cron job or a script the same. Both keep what
they made in a :class:`~shared.runtime.Runtime` of their own.

Example:
    >>> from fastapi import FastAPI
    >>> from shared.service import explain, install, uninstall
    >>> app = install(FastAPI(), service="orders")
    >>> [part.name for part in explain(app).parts if part.enabled][:3]
    ['settings', 'logging', 'tracing']
    >>> uninstall(app)
"""

from shared.service._explain import Explanation, Part, SettingShown
from shared.service._install import PARTS, explain, install, installed, uninstall
from shared.service._service import Service
from shared.service._worker import Worker, worker

__all__ = [
    "PARTS",
    "Explanation",
    "Part",
    "Service",
    "SettingShown",
    "Worker",
    "explain",
    "install",
    "installed",
    "uninstall",
    "worker",
]
