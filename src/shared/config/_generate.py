"""Documents made from the declarations: ``.env.example``, the docs table, the JSON schema."""

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any, Final

from shared.config._describe import expected, field_schema
from shared.config._field import UNDEFINED, FieldSpec, shown
from shared.config._settings import Settings
from shared.config._specs import specs_of

_BARE: Final = re.compile(r"[A-Za-z0-9_./:@%+*,=~\[\]{}?&-]*")
_PROFILE: Final = "development"  # whose defaults the examples show


def _sections(cls: type[Settings]) -> dict[str, list[FieldSpec]]:
    sections: dict[str, list[FieldSpec]] = {}
    for spec in specs_of(cls).values():
        sections.setdefault(spec.section, []).append(spec)
    return sections


def _title(cls: type[Settings], section: str) -> str:
    text = (next(iter(_sections(cls)[section])).owner.__doc__ or section).strip().splitlines()[0]
    return text.partition(": ``")[0].rstrip(".")


# --- .env.example --------------------------------------------------------------------------------


def render_env_example(cls: type[Settings] = Settings) -> str:
    """Return the text of an ``.env.example``: every setting with what it does and its default.

    Assignments are commented out, because a default that is written down hides
    the defaults of the profiles; settings without a default stand open.

    Example:
        >>> print(render_env_example().partition("# DB_POOL_SIZE")[2].splitlines()[0])
        =5
    """
    lines = [
        "# Copy to .env and fill in. What is not set has its default; in production, secrets",
        "# belong into the environment, a secrets directory or a secret manager.",
        "# Generated from the declarations by: shared config env-example",
    ]
    for section, specs in _sections(cls).items():
        lines += ["", f"# --- {_title(cls, section)} ---"]
        for spec in specs:
            lines += ["", *_comment(spec.description), *_comment(_note(spec)), _assignment(spec)]
    return "\n".join(lines) + "\n"


def _note(spec: FieldSpec) -> str:
    others = {name: value for name, value in spec.profiles.items() if name != _PROFILE}
    profiles = "".join(f"; {name}: {_text(spec, value) or 'none'}" for name, value in others.items())
    return f"Expected: {expected(spec)}{profiles}"


def _assignment(spec: FieldSpec) -> str:
    if spec.required:
        return f"{spec.name}="
    text = _text(spec, spec.default(_PROFILE))
    return f"# {spec.name}={text if _BARE.fullmatch(text) else json.dumps(text)}"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 98, break_long_words=False, break_on_hyphens=False)]


def _text(spec: FieldSpec, value: Any) -> str:
    """Return a default the way it is written in a variable; secrets and None are empty."""
    if value is None or value is UNDEFINED or spec.secret:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


# --- the table of the docs -------------------------------------------------------------------------


def render_settings_table(cls: type[Settings] = Settings) -> str:
    """Return the settings as Markdown tables, one for each section.

    Example:
        >>> render_settings_table().splitlines()[0]
        '### `app`: The process itself'
    """
    blocks = []
    for section, specs in _sections(cls).items():
        rows = "\n".join(_row(spec) for spec in specs)
        blocks.append(
            f"### `{section}`: {_title(cls, section)}\n\n"
            "| Variable | Default | Expected | What it does |\n|---|---|---|---|\n" + rows
        )
    return "\n\n".join(blocks) + "\n"


def _row(spec: FieldSpec) -> str:
    names = "<br>".join(f"`{name}`" for name in spec.names)
    cells = [names, _defaults(spec), expected(spec), spec.description]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _defaults(spec: FieldSpec) -> str:
    if spec.required:
        return "required"
    parts = [_code(spec, spec.class_default())]
    parts += [f"{name}: {_code(spec, value)}" for name, value in spec.profiles.items()]
    if spec.generated:
        parts.append("development, testing: generated")
    return "<br>".join(parts)


def _code(spec: FieldSpec, value: Any) -> str:
    text = _text(spec, value)
    if text:
        return f"`{text}`"
    return "none" if value is None else "empty"


# --- JSON schema --------------------------------------------------------------------------------------


def render_json_schema(cls: type[Settings] = Settings) -> str:
    """Return the JSON schema of a flat settings file, for editors and for checks.

    Source: JSON Schema, draft 2020-12.

    Example:
        >>> import json
        >>> json.loads(render_json_schema())["properties"]["DB_POOL_SIZE"]["minimum"]
        1
    """
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": cls.__name__,
        "type": "object",
        "properties": {spec.name: _property(spec) for spec in specs_of(cls).values()},
        "required": [spec.name for spec in specs_of(cls).values() if spec.required],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _property(spec: FieldSpec) -> dict[str, Any]:
    schema = {key: value for key, value in field_schema(spec).items() if key not in ("title", "default")}
    if not spec.required:
        schema["default"] = shown(spec, spec.class_default())
    schema["x-section"] = spec.section
    if spec.profiles:
        schema["x-profiles"] = shown(spec, dict(spec.profiles))
    if spec.aliases:
        schema["x-aliases"] = list(spec.aliases)
    return schema
