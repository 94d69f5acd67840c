"""One configuration put together from its sources; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from shared.agents._rules import KEYS
from shared.security import mask_text

if TYPE_CHECKING:
    from shared.config import Settings

__all__ = ["AgentSystemConfig", "Rows", "combine", "environment_values", "explicit"]

#: Where the settings have each value: the agent's own variable, then the one it falls back to.
_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "model": ("AGENT_MODEL", "OPENAI_MODEL"),
        "temperature": ("AGENT_TEMPERATURE", "OPENAI_TEMPERATURE"),
        "max_tokens": ("AGENT_MAX_TOKENS", "OPENAI_MAX_TOKENS"),
        "task_timeout": ("AGENT_TASK_TIMEOUT",),
        "max_attempts": ("AGENT_MAX_ATTEMPTS",),
        "retry_delay": ("AGENT_RETRY_DELAY",),
        "max_iterations": ("AGENT_MAX_ITERATIONS",),
        "memory_enabled": ("AGENT_MEMORY_ENABLED",),
        "memory_max_messages": ("AGENT_MEMORY_MAX_MESSAGES",),
        "tools": ("AGENT_TOOLS",),
        "tool_timeout": ("AGENT_TOOL_TIMEOUT",),
    }
)


@dataclass(frozen=True, slots=True)
class Rows:
    """What the database says: values of the agent's own row, those of its system, and its system."""

    agent: Mapping[str, Any] = field(default_factory=dict)
    system: Mapping[str, Any] = field(default_factory=dict)
    agent_system: str | None = None


class AgentSystemConfig(Mapping[str, Any]):
    """How agents of a system run, with where each value came from.

    A read-only mapping of ``system``, ``model``, ``temperature``, ``max_tokens``,
    ``task_timeout``, ``max_attempts``, ``retry_delay``, ``max_iterations``,
    ``memory_enabled``, ``memory_max_messages``, ``tools``, ``tool_timeout`` and
    ``instructions``; times are seconds. The instructions are not in the repr.

    Attributes:
        sources: By key: ``"environment"``, ``"database"`` or ``"default"``.
        is_stale: Whether the database could not be asked: values of it are the last
            good ones, or missing.

    Example:
        >>> config = AgentSystemConfig({"system": "simple", "model": "gpt-4o"}, {"model": "database"})
        >>> config["model"], config.source("model"), config.is_stale
        ('gpt-4o', 'database', False)
    """

    __slots__ = ("_values", "is_stale", "sources")

    def __init__(
        self, values: Mapping[str, Any], sources: Mapping[str, str], *, is_stale: bool = False
    ) -> None:
        self._values = dict(values)
        self.sources: Mapping[str, str] = MappingProxyType(dict(sources))
        self.is_stale: bool = is_stale

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        return list(value) if isinstance(value, list) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def system(self) -> str:
        """``"simple"`` or ``"enhanced"``."""
        return str(self._values["system"])

    def source(self, key: str) -> str:
        """Return where the value of *key* came from: ``environment``, ``database`` or ``default``."""
        return self.sources.get(key, "default")

    def explain(self) -> list[str]:
        """Return one line per value, with its source; the instructions are shown by their length.

        Example:
            >>> AgentSystemConfig({"system": "simple", "tools": []}, {"tools": "environment"}).explain()
            ["system = 'simple' (default)", 'tools = [] (environment)']
        """
        stale = ["the database could not be asked"] if self.is_stale else []
        return [f"{key} = {self._shown(key)} ({self.source(key)})" for key in self._values] + stale

    def _shown(self, key: str) -> str:
        value = self._values[key]
        if key == "instructions" and value is not None:
            return f"<{len(value)} characters>"
        return mask_text(repr(value))

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={self._shown(key)}" for key in self._values)
        return f"AgentSystemConfig({shown})"


def explicit(settings: "Settings", *names: str) -> bool:
    """Tell whether one of the settings *names* was set, rather than left to its default."""
    return any(settings.found(name).raws for name in names)


def environment_values(settings: "Settings") -> tuple[dict[str, Any], set[str]]:
    """Return every value of the settings, and the keys that were set rather than left to a default."""
    values: dict[str, Any] = {}
    for key, names in _VARIABLES.items():
        first, *rest = (
            getattr(settings.agent if name.startswith("AGENT_") else settings.ai, name) for name in names
        )
        values[key] = first if first is not None or not rest else rest[0]
    given = {key for key, names in _VARIABLES.items() if explicit(settings, *names)}
    return values, given


def combine(
    system: str, settings: "Settings", order: Sequence[str], rows: Rows, *, is_stale: bool = False
) -> AgentSystemConfig:
    """Return the configuration of *system*: per value the first source of *order* that has one.

    The defaults are what the settings say; without ``environment`` in *order*, also what was set there.
    """
    values, given = environment_values(settings)
    values["instructions"] = None
    sources: dict[str, str] = {}
    for key in KEYS:
        stored = rows.agent.get(key)
        stored = rows.system.get(key) if stored is None else stored
        for source in order:
            if source == "environment" and key in given:
                sources[key] = source
                break
            if source == "database" and stored is not None:
                values[key], sources[key] = stored, source
                break
        else:
            sources[key] = "default"
    return AgentSystemConfig({"system": system, **values}, sources, is_stale=is_stale)
