"""What a class of settings declares."""

import functools
from collections.abc import Mapping
from types import MappingProxyType

from pydantic_settings import BaseSettings

from shared.config._field import FieldSpec, Section, specs_of_section
from shared.errors import ConfigurationError


@functools.cache
def specs_of(cls: type[BaseSettings]) -> Mapping[str, FieldSpec]:
    """Return every setting of *cls* by name.

    Raises:
        ConfigurationError: A field is not a section, or two sections share a name.
    """
    specs: dict[str, FieldSpec] = {}
    taken: dict[str, str] = {}
    for section, info in cls.model_fields.items():
        owner = info.annotation
        if not (isinstance(owner, type) and issubclass(owner, Section)):
            msg = f"{cls.__name__}.{section} must be a subclass of Section, got {owner!r}"
            raise ConfigurationError(msg)
        for spec in specs_of_section(owner, section).values():
            for name in spec.names:
                if name in taken or not name.isupper():
                    where = f"already declared in {taken[name]!r}" if name in taken else "not in capitals"
                    msg = f"{cls.__name__}.{section}.{name}: the name is {where}"
                    raise ConfigurationError(msg)
                taken[name] = section
            specs[spec.name] = spec
    return MappingProxyType(specs)


def find_spec(cls: type[BaseSettings], name: str) -> FieldSpec | None:
    """Return the setting called *name*, also by an alias."""
    specs = specs_of(cls)
    return specs.get(name) or next((spec for spec in specs.values() if name in spec.aliases), None)
