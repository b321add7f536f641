"""Tests of the data of studies; what trains is keras_irl's own command line."""

import csv
import json

import studies

HEADER = ["mr", "ref"]
# Sorted by meaning, as E2E's own files are.
ROWS = [[f"name[{i // 4}]", f"text {i}, or\nmore"] for i in range(40)]


def e2e_folder(folder):
    folder.mkdir()
    for name in studies.E2E_FILES:
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([HEADER, *ROWS])
    return folder


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == HEADER
    return rows


def test_drawn_rows_are_all_rows_in_an_order_of_their_seed(tmp_path):
    data = e2e_folder(tmp_path / "data")

    def drawn(name, seed):
        folder = studies.drawn_folder("e2e", data, tmp_path / name, seed)
        return rows_of(folder / "devset.csv")

    first = drawn("first", 0)
    assert sorted(first) == sorted(ROWS)
    # The first ten of the file tell of three meanings.
    assert len({meaning for meaning, _ in first[:10]}) > 4
    assert drawn("again", 0) == first
    assert drawn("other", 1) != first
    assert rows_of(data / "devset.csv") == ROWS


def test_drawn_lines_are_all_lines(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    # Line separators of Unicode stand in texts, and end no line of JSON.
    lines = [
        json.dumps({"n": i, "t": "a\u2028b"}, ensure_ascii=False)
        for i in range(20)
    ]
    for name in studies.FILES["gsm8k"]:
        (data / name).write_text("\n".join([*lines, ""]), "utf-8")
    folder = studies.drawn_folder("gsm8k", data, tmp_path / "drawn")
    for name in studies.FILES["gsm8k"]:
        drawn = (folder / name).read_text("utf-8").split("\n")
        assert drawn.pop() == ""
        assert drawn != lines
        assert sorted(drawn) == sorted(lines)


def test_validation_prompts_are_no_training_prompts(tmp_path):
    data = e2e_folder(tmp_path / "data")
    folder = studies.validation_folder("e2e", data, tmp_path / "held", 3)
    kept = rows_of(folder / "devset.csv")
    held = rows_of(folder / "testset_w_refs.csv")
    assert sorted([*kept, *held]) == sorted(ROWS)
    assert len({meaning for meaning, _ in held}) == 3
    assert not {row[0] for row in held} & {row[0] for row in kept}
