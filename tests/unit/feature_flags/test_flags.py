"""Asking flags."""

import pytest

from shared.feature_flags import FEATURE_FLAGS, Flag, FlagDocument, Flags, is_feature_enabled
from shared.runtime import Runtime, use


@pytest.mark.parametrize("key", list(FEATURE_FLAGS))
def test_every_flag_of_the_default_catalogue_is_known_and_off(key):
    with use(Runtime("catalogue")) as runtime:
        assert is_feature_enabled(key) is False
        runtime.close()


def test_a_flag_that_is_no_bool_is_never_enabled_by_its_truth():
    flags = Flags([Flag("mode", default="off")])

    assert flags.is_enabled("mode") is False
    assert flags.is_enabled("mode", default=True) is True


def test_a_swap_tells_which_keys_changed():
    flags = Flags({"beta": False, "other": False})

    changed = flags.swap(FlagDocument({"beta": Flag("beta", default=True)}, revision=1))

    assert changed == ("beta",)
    assert flags.is_enabled("beta") is True
