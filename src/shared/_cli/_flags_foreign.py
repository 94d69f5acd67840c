"""``shared flags import --from FORMAT``: documents of other services."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from shared.feature_flags.exchange import Imported

__all__ = ["read_foreign"]


def read_foreign(path: str, format: str) -> "Imported":
    """Return what a file of another service says in our form, and what it cannot.

    Raises:
        ConfigurationError: There is no such file, or it is no JSON or YAML.
        FlagDocumentError: It is not of the shape of *format*.
    """
    from shared.feature_flags import exchange

    found = Path(path)
    if not found.is_file():
        msg = f"there is no file {path!r}"
        raise ConfigurationError(msg)
    content: Any = found.read_bytes()
    if found.suffix in {".yaml", ".yml"}:
        content = _yaml(content, path)
    make = {
        "flagd": exchange.import_flagd,
        "growthbook": exchange.import_growthbook,
        "unleash": exchange.import_unleash,
    }[format]
    return make(content)


def _yaml(content: bytes, path: str) -> Any:
    try:
        import yaml
    except ImportError as exc:
        raise MissingDependencyError("PyYAML", extra="yaml") from exc
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        msg = f"{path!r} is no YAML"
        raise ConfigurationError(msg) from exc
