import collections.abc
import fractions
import pickle

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_irl.arguments import ArgumentError
from keras_irl.arguments import check_choice
from keras_irl.arguments import check_flag
from keras_irl.arguments import check_function
from keras_irl.arguments import check_functions
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.arguments import check_number
from keras_irl.arguments import check_parts
from keras_irl.arguments import shortened
from keras_irl.columns import column
from keras_irl.columns import column_of_lists
from keras_irl.columns import is_missing


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
    assert check_choice("way", "a", ("a", "b")) == "a"
    with pytest.raises(ValueError, match='one of "a", "b". Received: way='):
        check_choice("way", value, ("a", "b"))


def test_errors_show_the_beginning_of_long_values():
    assert shortened("a" * 300) == "'" + "a" * 199 + "..."
    assert shortened(10**10_000) == "an integer of 33220 bits"


def test_what_has_no_repr_is_named_by_its_type():
    assert shortened([10**5000]) == "a list (no repr: ValueError)"


@pytest.mark.parametrize("value", [None, 3, "len", [len]])
def test_what_cannot_be_called_is_refused(value):
    with pytest.raises(ValueError, match="function. Two. Received: f="):
        check_function("f", value, meaning="Two.")
    assert check_function("f", len) is len


def test_an_object_lacks_none_of_its_parts():
    assert check_parts("x", 1j, ("real", "imag")) == 1j
    with pytest.raises(ValueError, match="attributes real, size.*: x=1j"):
        check_parts("x", 1j, ("real", "size"))


FRAME = pd.DataFrame({"text": ["a", "b", "c"], "number": [1.0, 2.0, 3.0]})
TABLE = datasets.Dataset.from_dict({"text": ["a", "b", "c"]})


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["a", "b"], ["a", "b"]),
        (("a", "b"), ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", None], object), ["a", None]),
        (np.ma.array(["a", "b"], mask=[False, True]), ["a", None]),
        (FRAME.iloc[[2, 0, 1]].text, ["c", "a", "b"]),
        (FRAME[FRAME.number > 1].text, ["b", "c"]),
        (FRAME[FRAME.number > 1].number, [2.0, 3.0]),
        (FRAME.sort_values("number", ascending=False).text, ["c", "b", "a"]),
        (FRAME.text.astype("category").iloc[::-1], ["c", "b", "a"]),
        (pd.Series(["a", "b"], ["x", "y"]), ["a", "b"]),
        (
            pd.Series(["a", "b"], pd.MultiIndex.from_tuples([(1, 0), (0, 1)])),
            ["a", "b"],
        ),
        (pd.Series([["a"], ["b"]], [1, 0]), [["a"], ["b"]]),
        (pd.Series(["a", "b"], [1, 0], "string[pyarrow]"), ["a", "b"]),
        (pd.Index(["b", "a"]), ["b", "a"]),
        (pd.Series([], dtype=object), []),
        (pa.chunked_array([["a"], ["b"]]), ["a", "b"]),
        (TABLE["text"], ["a", "b", "c"]),
        (TABLE.select([2, 0])["text"], ["c", "a"]),
        (range(3), [0, 1, 2]),
    ],
)
def test_a_column_is_read_by_position(values, found):
    rows = column("rows", values)
    assert [rows[row] for row in range(len(rows))] == found


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("ab", "list of one.*Received: rows='ab'"),
        (b"ab", "list of one.*Received: rows=b'ab'"),
        (None, "no length.*Received: rows=None"),
        (5, "no length.*Received: rows=5"),
        ({0: "a"}, "one column of it.*Received: rows={0: 'a'}"),
        ({"a"}, "no order.*Received: rows={'a'}"),
        ({"a": 1}.keys(), "no order.*Received: rows=dict_keys"),
        (iter(["a"]), "only once.*Received: rows=<list_iterator"),
        (FRAME, r'one column of the table, as `table\["prompt"\]`'),
        (FRAME.groupby("text"), "no length, or no index"),
        (TABLE, "one column of the table"),
        (pa.table({"text": ["a"]}), "one column of the table"),
        (np.array([["a"]]), "2 dimensions.*Received: rows="),
        (np.array("a"), "0 dimensions.*Received: rows="),
    ],
)
def test_what_is_no_column_is_refused(values, message):
    with pytest.raises(ValueError, match=f"(?s)`rows` must be.*{message}"):
        column("rows", values)


def test_a_column_of_a_file_stays_in_it():
    class Lazy(collections.abc.Sequence):
        def __len__(self):
            return 10**9

        def __getitem__(self, row):
            raise AssertionError("A row was read that nobody asked for.")

    rows = Lazy()
    assert column("rows", rows) is rows


def test_a_column_of_columns_becomes_lists():
    rows = pd.Series(
        [("a", "b"), np.array(["c"]), pd.Series(["d"], [7])], [2, 1, 0]
    )
    assert column_of_lists("rows", rows) == [["a", "b"], ["c"], ["d"]]
    with pytest.raises(ValueError, match=r"Received: rows\[1\]='b'"):
        column_of_lists("rows", [["a"], "b"])


def test_what_is_missing_is_known():
    missing = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT]
    assert all(map(is_missing, missing))
    assert not any(map(is_missing, ["", "nan", 0.0, [], False]))


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
