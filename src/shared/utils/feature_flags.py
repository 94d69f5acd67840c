"""Another spelling of what services ask of :mod:`shared.feature_flags`."""

from shared.feature_flags import FEATURE_FLAGS, is_feature_enabled

__all__ = ["FEATURE_FLAGS", "is_feature_enabled"]
