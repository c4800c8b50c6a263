import pickle
import typing

import pytest

from protocol import errors
from protocol.errors import CommonweightError

SAMPLES = {
    int: 3,
    float: 1.5,
    str: "text",
    bytes: b"\x01" * 32,
}


def all_errors(cls=CommonweightError):
    for child in cls.__subclasses__():
        yield child
        yield from all_errors(child)


def sample(cls):
    hints = typing.get_type_hints(cls)
    values = {}
    for name in cls.__dataclass_fields__:
        hint = hints[name]
        hint = getattr(hint, "__supertype__", hint)
        hint = (typing.get_args(hint) or (hint,))[0]
        values[name] = SAMPLES.get(hint, ("text",))
    return cls(**values)


LEAVES = [cls for cls in all_errors() if not cls.__subclasses__()]


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.__name__)
def test_each_error_says_what_happened_and_what_to_do(cls):
    error = sample(cls)
    assert error.message
    assert error.remedy
    assert str(error) == f"{error.message}; {error.remedy}"
    assert "{" not in str(error)


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.__name__)
def test_each_error_survives_a_process_boundary(cls):
    error = sample(cls)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert copy.values == error.values


def test_the_tree_at_the_top_of_the_file_names_every_error():
    drawn = errors.__doc__
    for cls in all_errors():
        if cls.__module__ == errors.__name__:
            assert cls.__name__ in drawn


def test_errors_differ_unless_they_are_the_same_one():
    first, second = (errors.KeyNotFound(name="a") for _ in range(2))
    assert first != second
    assert len({first, second}) == 2
