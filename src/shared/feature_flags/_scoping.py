"""Blocks in which flags stay as they are, or are what somebody says."""

from collections.abc import Mapping
from typing import Any

from shared.constants import Environment
from shared.errors import ConfigurationError
from shared.feature_flags._blocks import FlagBlock
from shared.feature_flags._engine import Engine
from shared.feature_flags._scope import current_block, enter_block, enter_block_around

__all__ = ["Scoping"]


class Scoping:
    """The part of ``Flags`` that makes blocks."""

    environment: str | None
    _engine: Engine

    def scope(self, context: Any = None) -> FlagBlock:
        """Return a block in which no flag changes, whatever the store says meanwhile.

        The first answer for the same question is the answer until the block ends, and a
        schedule that begins within it waits. Nested scopes stay with the outermost one's
        snapshot. ``install()`` puts one around every request.

        Args:
            context: Attributes for every evaluation in the block; what a call gives is
                laid over them.

        Example:
            >>> from shared.feature_flags import Flag, Flags
            >>> flags = Flags([Flag("beta", rollout=100)])
            >>> with flags.scope({"user_id": "u-1"}):
            ...     flags.is_enabled("beta")
            True
        """
        return FlagBlock(lambda: self._engine.scope_state(context))

    def request_scope(self) -> FlagBlock:
        """Return :meth:`scope` for a request or a job: what an earlier one left on this thread is ignored.

        Example:
            >>> from shared.feature_flags import Flag, Flags
            >>> flags = Flags([Flag("beta")])
            >>> with flags.request_scope():
            ...     flags.is_enabled("beta")
            False
        """
        return FlagBlock(lambda: self._engine.request_state(self))

    def begin_request(self) -> None:
        """Begin :meth:`request_scope` without a block; for request layers.

        Example:
            >>> from shared.feature_flags import Flag, Flags
            >>> flags = Flags([Flag("beta")])
            >>> flags.begin_request(); flags.end_request()
        """
        enter_block(self._engine.request_state(self))

    def end_request(self) -> None:
        """End what :meth:`begin_request` began, where it is still in force.

        Example:
            >>> from shared.feature_flags import Flags
            >>> Flags({"beta": True}).end_request()
        """
        block = current_block()
        if block is not None and block.flags is self:
            enter_block_around(block)

    def override(
        self, values: Mapping[str, Any] | None = None, /, *, allow_in_production: bool = False, **flags: Any
    ) -> FlagBlock:
        """Return a block in which flags have these values, whatever else says otherwise.

        For tests, and for trying things out: ``with flags.override(new_menu=True):``, or as
        a decorator. It ends with the block, also after an exception.

        Args:
            values: Values by key, for keys that are no Python names.
            allow_in_production: Whether it may be used where the environment is production.
            flags: Values by key.

        Raises:
            ConfigurationError: This is production.
            UnknownFlagError: A flag is not declared.
            FlagDocumentError: A value does not fit the type of its flag.

        Example:
            >>> from shared.feature_flags import Flag, Flags
            >>> flags = Flags([Flag("new_menu")])
            >>> with flags.override(new_menu=True):
            ...     flags.is_enabled("new_menu")
            True
        """
        if self.environment == Environment.PRODUCTION and not allow_in_production:
            msg = (
                "flags are not overridden in production: pass allow_in_production=True to do it all the same"
            )
            raise ConfigurationError(msg)
        forced = {key: self._engine.forced(key, value) for key, value in {**(values or {}), **flags}.items()}
        return FlagBlock(lambda: self._engine.override_state(forced))
