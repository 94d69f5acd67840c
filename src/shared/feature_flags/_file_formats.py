"""Documents of flags as files: YAML, JSON and TOML, read strictly and written plainly."""

import datetime as dt
import json
import math
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Final, TypeAlias

from shared.errors import ConfigurationError, FlagDocumentError, MissingDependencyError
from shared.feature_flags._forms import Form, to_text
from shared.feature_flags._model import FlagDocument

__all__ = ["MAX_FILE_BYTES", "dumper_of", "parse_file"]

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
_MOST_NODES: Final = 1_000_000
_DEEPEST: Final = 60

_Parser: TypeAlias = Callable[[str], Any]
_Dumper: TypeAlias = Callable[[Form], str]


def parse_file(path: PurePath, raw: bytes) -> FlagDocument:
    """Return what a file says; a ``revision`` in it does not count.

    Raises:
        FlagDocumentError: It is not what its ending says, or is too large.
        MissingDependencyError: PyYAML is not installed and the file is YAML.
        ConfigurationError: The ending is none of ours.
    """
    parse = _of(path)[0]
    where = path.name
    if len(raw) > MAX_FILE_BYTES:
        raise FlagDocumentError([f"{len(raw)} bytes, at most {MAX_FILE_BYTES} are read"], subject=where)
    try:
        found = _plain(parse(raw.decode("utf-8-sig")), [_MOST_NODES], _DEEPEST)
    except (MissingDependencyError, FlagDocumentError):
        raise
    except Exception as exc:  # parsers raise what they like; the text itself is not quoted
        raise FlagDocumentError([f"not readable: {_line(exc)}"], subject=where) from exc
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise FlagDocumentError([f"a mapping expected, got {type(found).__name__}"], subject=where)
    try:
        return FlagDocument.from_dict({key: item for key, item in found.items() if key != "revision"})
    except FlagDocumentError as exc:
        raise FlagDocumentError(exc.faults, subject=where) from exc


def dumper_of(path: PurePath) -> _Dumper:
    """Return what writes a document in the form that the file's ending names.

    Raises:
        ConfigurationError: The ending is none of ours.
    """
    return _of(path)[1]


def _of(path: PurePath) -> tuple[_Parser, _Dumper]:
    known: dict[str, tuple[_Parser, _Dumper]] = {
        ".json": (_parse_json, _dump_json),
        ".toml": (_parse_toml, _dump_toml),
        ".yaml": (_parse_yaml, _dump_yaml),
        ".yml": (_parse_yaml, _dump_yaml),
    }
    try:
        return known[path.suffix.lower()]
    except KeyError:
        msg = f"{path.name!r} is no file of flags: its name ends in {', '.join(known)}"
        raise ConfigurationError(msg) from None


def _plain(value: Any, left: list[int], depth: int) -> Any:
    """Return *value* as JSON knows it; moments become texts.

    Counted, because an alias of YAML stands for any number of copies.
    """
    left[0] -= 1
    if left[0] < 0 or depth < 0:
        msg = "too many or too deeply nested values"
        raise ValueError(msg)
    if isinstance(value, dict):
        return {_key(key): _plain(item, left, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, left, depth - 1) for item in value]
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    msg = f"a value of type {type(value).__name__} is not allowed"
    raise ValueError(msg)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    msg = f"a key is a text, got {type(key).__name__}: put it in quotes"
    raise ValueError(msg)


def _line(exc: Exception) -> str:
    """Return what went wrong and where, without the text of the file."""
    mark = getattr(exc, "problem_mark", None)
    line = mark.line + 1 if mark is not None else getattr(exc, "lineno", None)
    own = str(exc) if type(exc) is ValueError else type(exc).__name__
    return own if line is None else f"{own}, line {line}"


# --- JSON ---------------------------------------------------------------------------------


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique) if text.strip() else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "the same key stands twice in one mapping"
        raise ValueError(msg)
    return found


def _dump_json(form: Form) -> str:
    return json.dumps({"schema": 1, **form}, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


# --- YAML ---------------------------------------------------------------------------------


def _parse_yaml(text: str) -> Any:
    import re

    yaml = _yaml()

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined, misc]
        """As YAML 1.2 says: ``on``, ``off``, ``yes`` and ``no`` are texts, for they name variants."""

        yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own shape
            first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
            for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            self.flatten_mapping(node)
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            if len(keys) != len(set(map(repr, keys))):
                msg = "the same key stands twice in one mapping"
                raise ValueError(msg)
            return super().construct_mapping(node, deep=deep)

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
    )
    return yaml.load(text, Loader=Loader)


def _dump_yaml(form: Form) -> str:
    whole = {"schema": 1, **form}

    def dump(*, plain: bool) -> str:
        return str(_yaml().safe_dump(whole, sort_keys=False, allow_unicode=plain, width=100))

    text = dump(plain=True)
    # A next-line character in a plain text is folded to a space: escaped, it is not.
    return text if _parse_yaml(text) == whole else dump(plain=False)


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as exc:
        raise MissingDependencyError("yaml", extra="yaml") from exc
    return yaml


# --- TOML ---------------------------------------------------------------------------------


def _parse_toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _dump_toml(form: Form) -> str:
    lines = ["schema = 1"]
    for part in ("flags", "segments"):
        for key, body in form[part].items():
            if isinstance(body, dict):
                lines += ["", f"[{part}.{_text(key)}]"]
                lines += [f"{_text(name)} = {_value(item)}" for name, item in body.items()]
            else:
                lines += ["", f"[{part}]", f"{_text(key)} = {_value(body)}"]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if value is None:
        raise ConfigurationError("TOML has no null: keep these flags in a file that ends in .json or .yaml")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return to_text(value)


def _text(text: str) -> str:
    """Return a basic string; TOML's escapes are those of JSON, and the delete character needs one too."""
    return to_text(text).replace("\x7f", "\\u007f")
