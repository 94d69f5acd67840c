"""Small things every service needs: ids, checks, text, files, mappings, pages, timing.

For the code of services; no other room of the library imports it. Nothing here
keeps state or needs settings, and heavy libraries are imported by the call that
needs them. Bad input gets a clear error; the ``is_valid_*`` functions answer False.
"""

from typing import TYPE_CHECKING

from shared.utils._files import calculate_file_hash, format_file_size, sanitize_filename
from shared.utils._ids import (
    generate_short_id,
    generate_slug,
    generate_timestamp_id,
    generate_uuid,
    parse_timestamp_id,
)
from shared.utils._mappings import deep_merge, flatten_dict, get_nested_value, unflatten_dict
from shared.utils._pagination import Page, paginate
from shared.utils._passwords import PasswordCheck, PasswordRule, PasswordRules, validate_password
from shared.utils._text import chunk_text, clean_text, extract_hashtags, extract_mentions, truncate_text
from shared.utils._timing import Timer, timed
from shared.utils._validation import is_valid_email, is_valid_phone, is_valid_url

if TYPE_CHECKING:
    from shared.feature_flags import is_feature_enabled
    from shared.resilience import retry

__all__ = [
    "Page",
    "PasswordCheck",
    "PasswordRule",
    "PasswordRules",
    "Timer",
    "calculate_file_hash",
    "chunk_text",
    "clean_text",
    "deep_merge",
    "extract_hashtags",
    "extract_mentions",
    "flatten_dict",
    "format_file_size",
    "generate_short_id",
    "generate_slug",
    "generate_timestamp_id",
    "generate_uuid",
    "get_nested_value",
    "is_feature_enabled",
    "is_valid_email",
    "is_valid_phone",
    "is_valid_url",
    "paginate",
    "parse_timestamp_id",
    "retry",
    "sanitize_filename",
    "timed",
    "truncate_text",
    "unflatten_dict",
    "validate_password",
]

# The rooms of these cost more to import than all of this one. Guarded: an unguarded
# module __getattr__ makes type checkers accept every misspelt name of this package.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "retry":
            from shared.resilience import retry

            globals()["retry"] = retry
            return retry
        if name == "is_feature_enabled":
            from shared.feature_flags import is_feature_enabled

            globals()["is_feature_enabled"] = is_feature_enabled
            return is_feature_enabled
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def __dir__() -> list[str]:
        return sorted(__all__)
