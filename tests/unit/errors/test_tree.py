"""The tree drawn in the docstring is the tree of the classes, and every class of it behaves."""

import copy
import inspect
import pickle
import re

import pytest

import shared.errors
from shared.constants import ERROR_MESSAGES, ErrorCode
from shared.errors import MissingDependencyError, SharedError

CLASSES = [
    cls
    for cls in (getattr(shared.errors, name) for name in shared.errors.__all__)
    if isinstance(cls, type) and issubclass(cls, SharedError)
]
each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
BUILTIN = re.compile(r"also an? (\w+)")


def make(cls, **kwargs):
    """An instance, whatever the class needs."""
    if cls is MissingDependencyError:
        return cls("redis", extra="redis")
    return cls("what was wrong", **kwargs)


def drawn():
    """Name, name of the parent, status and builtin base of each line of the drawing."""
    path, found = [], {}
    for line in shared.errors.__doc__.splitlines():
        match = re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)(\w+Error)\b(.*)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        path = [*path[:depth], match[2]]
        status = re.match(r"\s+(\d{3})\b", match[3])
        also = BUILTIN.search(match[3])
        found[match[2]] = (path[-2] if depth else None, status and int(status[1]), also and also[1])
    return found


def test_the_drawing_shows_every_class_once():
    text = shared.errors.__doc__

    assert set(drawn()) == {cls.__name__ for cls in CLASSES}
    assert all(len(re.findall(rf"── {name}\b", text)) == (name != "SharedError") for name in drawn())


def test_siblings_are_drawn_in_alphabetical_order():
    for parent in drawn():
        children = [name for name, (above, *_) in drawn().items() if above == parent]
        assert children == sorted(children, key=str.lower)


@each_class
def test_the_parent_is_the_one_drawn(cls):
    parent, _, also = drawn()[cls.__name__]

    bases = [base.__name__ for base in cls.__mro__[1:] if base in CLASSES]

    assert bases[:1] == ([parent] if parent else [])
    if also:
        assert also in [base.__name__ for base in cls.__mro__]


@each_class
def test_the_status_is_the_one_drawn_here_or_above(cls):
    name = cls.__name__
    while drawn()[name][1] is None and drawn()[name][0] is not None:
        name = drawn()[name][0]
    expected = drawn()[name][1]

    assert expected in (None, cls.status)
    assert 400 <= cls.status <= 599


@each_class
def test_a_class_lives_where_users_import_it_from(cls):
    assert cls.__module__ == "shared.errors"


def test_a_class_of_a_service_keeps_its_own_module():
    class BasketEmptyError(SharedError):
        pass

    assert BasketEmptyError.__module__ == __name__


@each_class
def test_the_code_is_one_of_the_enumeration(cls):
    assert cls.code in ErrorCode


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_message_for_people(code):
    message = ERROR_MESSAGES[code]

    assert message[:1].isupper()
    assert message[-1:] not in ".!"


def test_no_message_is_without_a_code():
    assert set(ERROR_MESSAGES) == set(ErrorCode)


@each_class
def test_an_error_pickles_with_all_of_its_data(cls):
    error = make(cls)
    error.details["n"] = 7
    error.headers["X-A"] = "1"
    error.status = 599
    error.__cause__ = KeyError("cause")
    error.add_note("a note")

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(error, protocol))

        assert type(twin) is cls
        assert (twin.args, twin.__dict__) == (error.args, error.__dict__)
        assert (str(twin), repr(twin), twin.to_dict()) == (str(error), repr(error), error.to_dict())
        assert isinstance(twin.__cause__, KeyError)


@each_class
def test_a_pickle_names_nothing_private(cls):
    text = pickle.dumps(make(cls), 0).decode()

    assert "shared.errors" in text
    assert "shared.errors._" not in text


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
@each_class
def test_an_error_copies_with_all_of_its_data(cls, duplicate):
    error = make(cls)
    error.details["n"] = 7
    error.__cause__ = KeyError("cause")

    twin = duplicate(error)
    twin.details["n"] = 8

    assert type(twin) is cls
    assert (str(twin), error.details["n"]) == (str(error), 7)
    assert isinstance(twin.__cause__, KeyError)


@each_class
def test_an_error_takes_the_common_arguments(cls):
    cause = KeyError("x")
    arguments = {"details": {"a": 1}, "cause": cause, "headers": {"X-A": "1"}, "code": "OWN", "status": 418}
    if cls is MissingDependencyError:
        arguments.pop("details")

    error = (
        cls("redis", extra="redis", **arguments) if cls is MissingDependencyError else cls("m", **arguments)
    )

    assert (error.code, error.status, error.__cause__) == ("OWN", 418, cause)
    assert error.headers.items() >= {("X-A", "1")}


@each_class
def test_an_error_is_caught_by_its_builtin_base_too(cls):
    for base in (ValueError, TypeError, TimeoutError, ImportError):
        if issubclass(cls, base):
            with pytest.raises(base):
                raise make(cls)


@each_class
def test_the_docstring_is_its_own(cls):
    assert cls.__doc__ is not None
    assert inspect.getdoc(cls) != inspect.getdoc(cls.__mro__[1])
