import pytest
from testing import PROMPT_LINES
from testing import PROMPTS_OF_LINES

from keras_irl.arguments import ArgumentError
from keras_irl.tasks.prompt_lines import read_prompts


def test_prompts_of_every_kind_are_read(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(PROMPT_LINES), "utf-8")
    prompts = read_prompts(path)
    assert prompts.texts == PROMPTS_OF_LINES
    assert prompts.lines == [1, 3, 4, 5]


def test_errors_name_the_line_and_the_argument(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('"one"\n{"text": "x"}\n')
    with pytest.raises(
        ArgumentError, match="line 2: .*'prompt' is missing"
    ) as (found):
        read_prompts(path)
    assert found.value.arguments == ("prompts",)
