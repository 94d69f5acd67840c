import pytest

from shared.api._installed import installation
from shared.errors import ConfigurationError


class App:
    pass


class Part:
    def __init__(self, options):
        self.options = options


def test_record_belongs_to_the_application():
    one, two = App(), App()

    assert installation(one) is installation(one)
    assert installation(one) is not installation(two)


def test_part_is_found_with_the_same_options_or_none():
    record = installation(App())
    part = Part("a")
    record.add("layer", part, lambda: None)

    assert record.find("layer", None) is part
    assert record.find("layer", "a") is part
    assert record.find("other", "a") is None


def test_other_options_are_refused_with_the_way_out():
    record = installation(App())
    record.add("layer", Part("a"), lambda: None)

    with pytest.raises(
        ConfigurationError, match=r"already installed with other options: uninstall\(app\) first"
    ):
        record.find("layer", "b")


def test_parts_are_taken_out_last_first_and_once():
    done = []
    record = installation(App())
    for name in "abc":
        record.add(name, None, lambda name=name: done.append(name))

    record.remove("b")
    record.remove("b")
    record.remove_all()
    record.remove_all()

    assert done == ["b", "c", "a"]
