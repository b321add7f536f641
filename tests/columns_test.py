import collections.abc
import sys
import types

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_irl.columns import check_prompt_ids
from keras_irl.columns import column
from keras_irl.columns import column_of_lists
from keras_irl.columns import finite_numbers
from keras_irl.columns import is_missing

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
        (np.dtype("int8"), "no index.*Received: rows=dtype"),
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


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([], "at least one. Received: scores="),
        (["1"], "a list of numbers"),
        ([[1], [2, 3]], "a list of numbers"),
        ([[1.0]], "a list of numbers"),
        ([1.0], "1 of scores for 2 texts"),
        ([1.0, np.nan], r"Received: scores\[1\]=nan"),
        ([np.inf, 1.0], r"Received: scores\[0\]=inf"),
    ],
)
def test_each_text_has_a_finite_number(numbers, message):
    assert finite_numbers("scores", (1, True), 2).tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=message):
        finite_numbers("scores", numbers, 2)


@pytest.mark.parametrize(
    ("prompt_ids", "message"),
    [
        (["a"], "1 prompt_ids for 2 texts"),
        ("abc", "3 prompt_ids for 2 texts"),
        (["a", None], r"prompt_ids\[1\]=None"),
        (["a", float("nan")], r"prompt_ids\[1\]=nan"),
    ],
)
def test_each_text_has_a_prompt(prompt_ids, message):
    assert check_prompt_ids("ab", 2) == ["a", "b"]
    assert check_prompt_ids(pd.Series([3, 3], [1, 0]), 2) == [3, 3]
    with pytest.raises(ValueError, match=message):
        check_prompt_ids(prompt_ids, 2)


def test_a_module_of_the_users_may_have_the_name_of_a_library(monkeypatch):
    for name in ("datasets", "pandas", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    assert column("rows", ["a"]) == ["a"]
    assert is_missing(None) and not is_missing("a")
    with pytest.raises(ValueError, match="no length"):
        column("rows", 5)


class Labeled:
    """A series of another library: brackets take labels."""

    def __init__(self, by_label):
        self._by_label = by_label

    def __len__(self):
        return len(self._by_label)

    def __getitem__(self, label):
        return self._by_label[label]

    @property
    def iloc(self):
        return list(self._by_label.values())

    def to_numpy(self, dtype=None):
        return np.array(self.iloc, dtype)


def test_series_of_other_libraries_are_read_by_position():
    series = Labeled({2: "ccc", 0: "a", 1: "bb"})
    assert list(column("prompts", series)) == ["ccc", "a", "bb"]


@pytest.mark.parametrize("wrong", [[0], {}, ([1],)])
def test_prompts_are_named_by_what_can_be_told_apart(wrong):
    with pytest.raises(ValueError, match=r"Received: prompt_ids\[1\]="):
        check_prompt_ids(["a", wrong], 2)
