from keras_irl.reporting.markdown_tables import Table
from keras_irl.reporting.markdown_tables import markdown_table


def test_names_stand_to_the_left_and_numbers_to_the_right():
    table = Table(["a", "name", "number"], [["long", "x", "1.5"]], num_names=2)
    assert markdown_table(table).splitlines() == [
        "| a    | name | number |",
        "| ---- | ---- | -----: |",
        "| long | x    |    1.5 |",
    ]


def test_a_table_of_numbers_alone_stands_to_the_right():
    lines = markdown_table(Table(["n", "x"], [["10", "2"]], num_names=0))
    assert lines.splitlines() == [
        "|  n |  x |",
        "| -: | -: |",
        "| 10 |  2 |",
    ]


def test_texts_are_not_padded_and_not_cut():
    table = Table(["setting", "value"], [["a", "x" * 90]], is_text=True)
    assert markdown_table(table).splitlines()[1:] == [
        "| --- | --- |",
        f"| a | {'x' * 90} |",
    ]


def test_no_cell_ends_a_table_or_a_line():
    table = markdown_table(Table(["a|b"], [["<b>\n|"]]))
    assert table.splitlines()[0] == "| a\\|b    |"
    assert table.splitlines()[2] == "| \\<b>␊\\| |"
    assert len(table.splitlines()) == 3
