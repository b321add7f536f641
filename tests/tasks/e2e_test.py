"""E2E is read as it is, and judged against all references."""

import pytest
from testing import shared_data

from keras_irl.data import load_task
from keras_irl.metrics import bleu
from keras_irl.tasks.e2e import PLACEHOLDERS
from keras_irl.tasks.e2e import delexicalize
from keras_irl.tasks.e2e import lexicalize

HEADER = b'"mr","ref"\r\n'


def write(folder, content, name="devset.csv"):
    (folder / name).write_bytes(content)
    return folder


def test_the_training_split_has_all_pairs():
    task = load_task("e2e", "train", shared_data("e2e"))
    assert len(task.prompts) == len(task.responses) == 4672
    assert len(set(task.prompts)) == 547
    assert task.pairs == (task.prompts, task.responses)
    assert all(map(list.__contains__, task.references, task.responses))


def test_the_test_split_has_all_references_of_each_prompt():
    task = load_task("e2e", "test", shared_data("e2e"))
    assert len(set(task.prompts)) == len(task.prompts) == 630
    assert len(task.references) == len(task.responses) == 630
    assert sum(map(len, task.references)) == 4693
    prompts, responses = task.pairs
    assert len(prompts) == len(responses) == 4693
    assert set(prompts) == set(task.prompts)
    grouped = dict(zip(task.prompts, task.references, strict=True))
    assert all(
        response in grouped[prompt]
        for prompt, response in zip(prompts, responses, strict=True)
    )


def test_humans_score_perfectly_against_themselves_only():
    task = load_task("e2e", "test", shared_data("e2e"))
    assert list(task.metrics) == ["bleu", "chrf"]
    bleu = task.metrics["bleu"]
    assert bleu(task.responses, task.references) == pytest.approx(100.0)
    rows = [row for row, texts in enumerate(task.references) if texts[1:]]
    left_out = [task.references[row][1:] for row in rows]
    score = bleu([task.responses[row] for row in rows], left_out)
    assert 30 < score < 70


def test_train_and_test_share_no_prompt():
    path = shared_data("e2e")
    train, test = (load_task("e2e", split, path) for split in ("train", "test"))
    assert not set(train.prompts) & set(test.prompts)


def test_reads_quotes_commas_line_breaks_and_marks(tmp_path):
    write(
        tmp_path,
        b"\xef\xbb\xbfref,extra,MR\r\n"
        b'"a ""b"", c\r\nd",1,"name[x], area[y]"\r\n'
        b"\r\n"
        b"caf\xc3\xa9 ,2,name[z]\n",
    )
    task = load_task("e2e", "train", tmp_path)
    assert task.prompts == ["name[x], area[y]", "name[z]"]
    assert task.responses == ['a "b", c\r\nd', "café"]


def test_trains_on_the_training_set_where_there_is_one(tmp_path):
    write(tmp_path, HEADER + b"m,dev\n")
    assert load_task("e2e", "train", tmp_path).responses == ["dev"]
    with pytest.raises(ValueError, match="splits train, test. Received"):
        load_task("e2e", "validation", tmp_path)
    write(tmp_path, HEADER + b"m,train\n", name="trainset.csv")
    assert load_task("e2e", "train", tmp_path).responses == ["train"]
    assert load_task("e2e", "validation", tmp_path).responses == ["dev"]
    with pytest.raises(ValueError, match="train, test, validation. Received"):
        load_task("e2e", "dev", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"devset\.csv, line 1: the column 'mr' is missing"),
        (HEADER, "devset.csv holds no pairs"),
        (b"mr,text\na,b\n", "line 1: .*the column 'ref' is missing"),
        (HEADER + b"m,r\nalone\n", "line 3: the row has 1 of 2 columns"),
        (HEADER + b"m,\n", "line 2: the meaning or its reference is empty"),
        (HEADER + b"m,r\nm,\xff\n", "line 3: byte 2 is not UTF-8"),
        (HEADER + b'm,"r\n', "line 2: unexpected end of data"),
        (HEADER + b'm,"r"x\n', "line 2: .*expected after"),
        (HEADER + b'm,"' + b"r" * 200_000, "line 2: field larger than"),
    ],
)
def test_names_the_line_that_is_wrong(tmp_path, content, message):
    write(tmp_path, content)
    with pytest.raises(ValueError, match=f"{message}.*Received: [a-z]+=."):
        load_task("e2e", "train", tmp_path)


def test_names_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match="no such file.*devset.csv"):
        load_task("e2e", "train", tmp_path)
    file = write(tmp_path, HEADER) / "devset.csv"
    with pytest.raises(ValueError, match="from a folder with devset.csv"):
        load_task("e2e", "train", file)


def test_values_come_back_where_they_were():
    meaning = "name[The Wrestlers], eatType[pub], food[Thai], near[Clare Hall]"
    text = "Near Clare Hall, The Wrestlers is a pub with Thai food. A pub!"
    hidden, template = delexicalize(meaning, text)
    assert hidden == "name[XNAME], eatType[XTYPE], food[XFOOD], near[XNEAR]"
    assert template == "Near XNEAR, XNAME is a XTYPE with XFOOD food. A XTYPE!"
    assert lexicalize(meaning, template) == text


def test_only_whole_words_are_values():
    meaning = "name[Cotto], eatType[pub], food[Thai]"
    _, template = delexicalize(meaning, "Cottos public Thailand pub")
    assert template == "Cottos public Thailand XTYPE"


def test_a_longer_value_goes_before_one_inside_it():
    meaning = "name[Bakers], near[The Bakers]"
    _, template = delexicalize(meaning, "Bakers is near The Bakers")
    assert template == "XNAME is near XNEAR"


def test_a_placeholder_without_a_value_is_left_out():
    assert (
        lexicalize("name[Cotto]", "XNAME has XFOOD food") == "Cotto has  food"
    )


def test_the_test_split_has_no_value_that_training_lacks():
    path = shared_data("e2e")
    train = load_task("e2e-delexicalized", "train", path)
    test = load_task("e2e-delexicalized", "test", path)
    assert (len(train.prompts), len(test.prompts)) == (4672, 630)
    for attribute, placeholder in PLACEHOLDERS.items():
        for task in (train, test):
            shown = {
                prompt.split(f"{attribute}[")[1].split("]")[0]
                for prompt in task.prompts
                if f"{attribute}[" in prompt
            }
            assert shown == {placeholder}


def test_responses_are_judged_with_their_values_against_the_references():
    path = shared_data("e2e")
    task = load_task("e2e-delexicalized", "test", path)
    plain = load_task("e2e", "test", path)
    assert task.references == plain.references
    own = task.metrics["bleu"](task.responses, task.references)
    # Case is lost where a value opens a sentence, and nothing else.
    assert own > 97.0
    assert own == pytest.approx(
        bleu(
            [
                lexicalize(meaning, text)
                for meaning, text in zip(
                    plain.prompts, task.responses, strict=True
                )
            ],
            plain.references,
        )
    )
    first = task.metrics["bleu"](task.responses[:50], task.references[:50])
    assert first > 95.0
