"""Write plain values as YAML, for files that people read and Prometheus loads."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

# What may stand without quotes: nothing that YAML 1.1 or 1.2 could take for another type.
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_/.-]*\Z").match
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"})


def to_yaml(value: Any, indent: int = 0) -> str:
    """Return mappings, lists, text, numbers and booleans as block YAML.

    Text of several lines becomes a literal block; other text is quoted when it could
    be read as anything else.
    """
    pad = "  " * indent
    if isinstance(value, Mapping) and value:
        return "".join(f"{pad}{_scalar(str(key))}:{_nested(item, indent)}" for key, item in value.items())
    if isinstance(value, list | tuple) and value:
        lines = []
        for item in value:
            text = to_yaml(item, indent + 1)
            if isinstance(item, Mapping | list | tuple) and item:
                lines.append(f"{pad}- {text[2 * (indent + 1) :]}")
            else:
                lines.append(f"{pad}- {text.strip()}\n")
        return "".join(lines)
    return f"{_scalar(value)}\n"


def _nested(item: Any, indent: int) -> str:
    if isinstance(item, Mapping | list | tuple) and item:
        return f"\n{to_yaml(item, indent + 1)}"
    if isinstance(item, str) and "\n" in item:
        pad = "  " * (indent + 1)
        lines = "".join(f"{pad}{line}\n" if line else "\n" for line in item.strip("\n").split("\n"))
        return f" |-\n{lines}"
    return f" {_scalar(item)}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN(value) and value.lower() not in _WORDS:
        return value
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    text = json.dumps(value, ensure_ascii=False)  # JSON is YAML
    if isinstance(value, float) and "e" in text and "." not in text:
        return text.replace("e", ".0e")  # YAML 1.1 takes 1e-05 for text
    return text
