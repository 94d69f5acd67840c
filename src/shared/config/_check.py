"""Judging settings without using them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.config._collect import SEARCH, Recipe, Search, collect
from shared.config._report import Problem
from shared.config._settings import Settings
from shared.config._sources import from_overrides


@dataclass(frozen=True, slots=True)
class SettingsReport:
    """What :func:`check_settings` found; holds no secret.

    Attributes:
        environment: The profile that was applied.
        problems: Everything found, errors and warnings.
        settings: The settings when they are right, else None.

    Example:
        >>> report = check_settings(environ={"DB_POOLSIZE": "3"}, env_file=None)
        >>> report.ok, [str(problem) for problem in report.warnings]
        (True, ['DB_POOLSIZE: is not a setting (environment); did you mean DB_POOL_SIZE?'])
    """

    environment: str
    problems: tuple[Problem, ...]
    settings: Settings | None

    @property
    def ok(self) -> bool:
        """Whether a service would start."""
        return not self.errors

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that refuse the settings."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that are only reported."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "ok": self.ok,
            "environment": self.environment,
            "problems": [problem.to_dict() for problem in self.problems],
        }


def check_settings(
    cls: type[Settings] = Settings,
    *,
    environ: Mapping[str, str] | None = None,
    env_file: "str | Path | Search | None" = SEARCH,
    **overrides: Any,
) -> SettingsReport:
    """Read and judge the settings without putting them in force; never raises for what is configured.

    Args:
        cls: The service's own subclass of ``Settings``.
        environ: Variables in place of the process's.
        env_file: As in :class:`Settings`.
        overrides: Values that win, such as ``ENVIRONMENT="production"`` to judge by
            the rules of production.

    Example:
        >>> report = check_settings(environ={"API_PORT": "http"}, env_file=None)
        >>> print(report.errors[0])
        API_PORT: expected an integer, at least 1, at most 65535, got 'http' (environment)
    """
    layers = collect(cls, os.environ if environ is None else environ, env_file, from_overrides(overrides))
    settings = cls.__new__(cls)
    outcome = settings._apply(layers, Recipe(environ, env_file))  # noqa: SLF001 - our own class
    found = tuple(sorted(outcome.problems, key=lambda problem: (problem.severity, problem.variable)))
    return SettingsReport(outcome.environment, found, None if outcome.errors else settings)
