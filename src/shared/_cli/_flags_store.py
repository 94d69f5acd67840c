"""The store, the code's flags and the settings that every command of ``shared flags`` works with."""

import argparse
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shared._cli._config import settings_class
from shared.errors import ConfigurationError, ValidationError

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.feature_flags import FlagAdmin, FlagDocument, Flags, FlagStore


class Desk(NamedTuple):
    """What a command works with.

    Attributes:
        settings: Of the service.
        store: Where flags are kept.
        declared: What the code declares.
    """

    settings: "Settings"
    store: "FlagStore"
    declared: "FlagDocument"

    @property
    def is_memory(self) -> bool:
        """Whether the store ends with this command."""
        return self.store.shown == "memory"

    def revision(self) -> int:
        """Return the revision of the store that is written to."""
        writable = getattr(self.store, "writable", self.store)
        return int(writable.revision())

    def merged(self) -> "FlagDocument":
        """Return what is stored over what is declared."""
        from shared.feature_flags import FlagDocument

        stored = self.store.load()
        return FlagDocument(
            {**self.declared.flags, **stored.flags},
            {**self.declared.segments, **stored.segments},
            revision=stored.revision,
        )

    def overrides(self, document: "FlagDocument") -> dict[str, Any]:
        """Return what variables of this process force, by key.

        Raises:
            ConfigurationError: A variable cannot be read.
        """
        from shared.feature_flags import environment_overrides

        if not self.settings.flags.FLAGS_ENV_OVERRIDES:
            return {}
        return environment_overrides(document.flags.values(), self._variable)

    def _variable(self, name: str) -> str | None:
        try:
            return self.settings.variable(name)
        except ConfigurationError:  # a setting has this name: only FLAG_<NAME> is the flag
            return None

    def flags(self, environment: str | None = None) -> "Flags":
        """Return flags that are ready to ask, with the variables of this process."""
        from shared.feature_flags import Flags

        document = self.merged()
        place = environment or str(self.settings.app.ENVIRONMENT)
        return Flags(document, environment=place, overrides=self.overrides(document))

    def admin(self) -> "FlagAdmin":
        """Return what changes the store.

        Raises:
            ConfigurationError: The change would end with this command.
        """
        from shared.feature_flags import FlagAdmin

        if self.is_memory:
            msg = (
                "the store is memory://: a change made here would end with this command; "
                "set FLAGS_STORE_URL, or --store, to where the service keeps its flags"
            )
            raise ConfigurationError(msg)
        return FlagAdmin(self.store, declared=self.declared.flags.values())


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[Desk]:
    """Open what the arguments and the settings name, and close it again."""
    from shared.config import use_settings
    from shared.runtime import Runtime, use

    runtime = Runtime("flags")
    with use(runtime):
        try:
            settings = use_settings(settings_class(args.settings))
            declared = declared_of(args)
            store = _store(args, settings)
            try:
                yield Desk(settings, store, declared)
            finally:
                store.close()
        finally:
            runtime.close()


def _store(args: argparse.Namespace, settings: "Settings") -> "FlagStore":
    """Return the store of ``--store``, else that of the settings, over the file where there is one."""
    from shared.feature_flags import FileFlagStore, LayeredFlagStore, flag_store

    if args.store is not None:
        return flag_store(args.store)
    url, file = str(settings.flags.FLAGS_STORE_URL), settings.flags.FLAGS_FILE
    if file is None:
        return flag_store(url)
    below = FileFlagStore(file)
    return below if url == "memory://" else LayeredFlagStore([flag_store(url), below])


def declared_of(args: argparse.Namespace) -> "FlagDocument":
    """Return what the code declares: of ``--declared``, else the catalogue.

    Raises:
        ValidationError: ``--declared`` names nothing that can be imported.
        SharedError: What it names holds no flags.
    """
    from shared.feature_flags import FEATURE_FLAGS, Flags

    return Flags(FEATURE_FLAGS if args.declared is None else _imported(args.declared)).declared


def _imported(name: str) -> Any:
    from shared.feature_flags import Flags

    module, _, attribute = name.partition(":")
    if not module or not attribute:
        msg = f"--declared is MODULE:NAME, such as orders.flags:FLAGS, got {name[:80]!r}"
        raise ValidationError(msg)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a script's own folder is where it is installed
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as exc:  # a module of the service may raise anything while it is imported
        msg = f"cannot import {attribute!r} from {module!r}: {type(exc).__name__}: {exc}"
        raise ValidationError(msg) from exc
    return found.declared if isinstance(found, Flags) else found


def read_file(path: str) -> "FlagDocument":
    """Return the flags of a file.

    Raises:
        ConfigurationError: There is no such file, or it is no file of flags.
    """
    from shared.feature_flags import FileFlagStore

    if not Path(path).is_file():
        msg = f"there is no file {path!r}"
        raise ConfigurationError(msg)
    store = FileFlagStore(path)
    try:
        return store.load()
    finally:
        store.close()
