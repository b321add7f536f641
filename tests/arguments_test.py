import fractions
import pickle

import numpy as np
import pytest

from keras_irl.arguments import ArgumentError
from keras_irl.arguments import as_numbers
from keras_irl.arguments import check_attributes
from keras_irl.arguments import check_choice
from keras_irl.arguments import check_entries
from keras_irl.arguments import check_flag
from keras_irl.arguments import check_function
from keras_irl.arguments import check_functions
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.arguments import check_number
from keras_irl.arguments import check_rows
from keras_irl.arguments import float_array


@pytest.mark.parametrize(
    "value", [4, np.int64(4), np.int8(4), np.array(4), np.uint32(4)]
)
def test_integers_of_numpy_become_pythons(value):
    found = check_integer("n", value)
    assert type(found) is int
    assert found == 4


@pytest.mark.parametrize(
    "value",
    [4.0, "4", None, True, np.bool_(True), [4], np.array([4]), -1, 2**31],
)
def test_what_is_no_count_is_refused_in_the_users_words(value):
    with pytest.raises(ValueError, match="from 0 to 2147483647.*Received: n="):
        check_integer("n", value)


def test_an_error_carries_the_argument_that_it_is_about():
    with pytest.raises(ArgumentError) as found:
        check_integer("batch_size", 0, least=1)
    again = pickle.loads(pickle.dumps(found.value))
    for error in (found.value, again):
        assert error.arguments == ("batch_size",)
        assert "Received: batch_size=0" in str(error)


def test_bounds_are_included_and_told():
    assert check_integer("n", 3, least=3, most=3) == 3
    with pytest.raises(ValueError, match="from 3 to 5. Mind it. Received: n=2"):
        check_integer("n", 2, least=3, most=5, meaning="Mind it.")
    with pytest.raises(ValueError, match="Received: n=6"):
        check_integer("n", 6, least=3, most=5)


@pytest.mark.parametrize(
    "value", [0.5, np.float32(0.5), np.float64(0.5), fractions.Fraction(1, 2)]
)
def test_numbers_become_floats(value):
    found = check_number("x", value)
    assert type(found) is float
    assert found == 0.5


@pytest.mark.parametrize(
    "value",
    ["0.5", None, True, np.nan, np.inf, -np.inf, 1j, [0.5], 10**400],
)
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match="finite number. Received: x="):
        check_number("x", value)


def test_open_and_closed_bounds_are_told_apart():
    assert check_number("x", 1, least=1, most=1) == 1.0
    for bounds, words in [
        ({"least": 2}, "at least 2"),
        ({"most": 0}, "at most 0"),
        ({"above": 1}, "above 1"),
        ({"below": 1}, "below 1"),
    ]:
        with pytest.raises(ValueError, match=f"{words}. Received: x=1"):
            check_number("x", 1, **bounds)


@pytest.mark.parametrize("value", ["c", None, 1, ["a"]])
def test_choices_are_listed(value):
    assert check_choice("keep", "a", ("a", "b")) == "a"
    with pytest.raises(ValueError, match='one of "a", "b". Received: keep='):
        check_choice("keep", value, ("a", "b"))


@pytest.mark.parametrize("value", [None, 3, "len", [len]])
def test_what_cannot_be_called_is_refused(value):
    with pytest.raises(ValueError, match="function. Two. Received: f="):
        check_function("f", value, meaning="Two.")
    assert check_function("f", len) is len


def test_an_object_lacks_none_of_its_attributes():
    assert check_attributes("x", 1j, ("real", "imag")) == 1j
    with pytest.raises(ValueError, match="attributes real, size.*: x=1j"):
        check_attributes("x", 1j, ("real", "size"))


@pytest.mark.parametrize("value", [True, 1, np.bool_(True), np.array(True)])
def test_what_is_true_is_true(value):
    assert check_flag("verbose", value) is True


@pytest.mark.parametrize("value", ["yes", None, 2, 1.0, [], np.array([True])])
def test_what_is_neither_true_nor_false_is_refused(value):
    with pytest.raises(ValueError, match="`True` or `False`.*: verbose="):
        check_flag("verbose", value)


def test_what_is_of_another_class_is_refused():
    assert check_kind("rows", [1], list) == [1]
    with pytest.raises(ValueError, match=r"`list`. Two. .*\(1,\) of type t"):
        check_kind("rows", (1,), list, meaning="Two.")


@pytest.mark.parametrize("value", [[len], "len", {"a": 1}, {1: len}, len])
def test_what_holds_no_functions_is_refused(value):
    with pytest.raises(ValueError, match="metrics.* must be .*Received: "):
        check_functions("metrics", value)


def test_functions_are_copied():
    functions = {"length": len}
    found = check_functions("metrics", functions)
    assert found == functions and found is not functions


def test_a_dictionary_lacks_none_of_its_entries():
    assert check_entries("row", {"a": 1, "b": 2}, ("a",)) == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match="entries a, c. Two. .*without c"):
        check_entries("row", {"a": 1}, ("a", "c"), meaning="Two.")
    with pytest.raises(ValueError, match="must be a `dict`. Two. .*type list"):
        check_entries("row", ["a"], ("a",), meaning="Two.")


@pytest.mark.parametrize("value", [{"a": 1}, [1, "2"], 3, None])
def test_rows_of_another_class_are_refused(value):
    assert check_rows((1, 2), int) == [1, 2]
    with pytest.raises(ValueError, match="list of `int`.*Received: rows="):
        check_rows(value, int)


def test_numbers_are_read_as_arrays_and_texts_are_not():
    assert as_numbers("x", [[1, True]], 2).tolist() == [[1.0, 1.0]]
    for wrong in (["1"], [[1], [2, 3]], 1.0, None, [10**400]):
        with pytest.raises(ValueError, match="with 1 axes. Received: x="):
            as_numbers("x", wrong, 1)
    assert float_array([1, None, True])[[0, 2]].tolist() == [1.0, 1.0]
    assert np.isnan(float_array([1, None])[1])
    for wrong in (["1"], [1, "2"], [[1], [2, 3]], [1j], [10**400]):
        assert float_array(wrong).shape == (0,)
