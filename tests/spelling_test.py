"""US spelling, as in Keras, in code, tests, guides and documents."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ("keras_irl", "tests", "guides", "benchmarks", "docs")
# Numbers that were measured are told as they were written.
LEFT_OUT = {
    ROOT / "benchmarks" / "results",
    # Made of files that are read themselves.
    *(ROOT / "docs" / "build", ROOT / "docs" / "made"),
}
FILES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".md", ".html")
    and LEFT_OUT.isdisjoint(path.parents)
] + sorted(ROOT.glob("*.md"))

# British words by what they begin with, then those that are whole.
BEGINNINGS = """
    analys(?:e|ed|es|ing)$ artefact behaviour cancell(?:ed|ing)$ catalyse
    centre(?:s|d)?$ centring$ colour defence dialled endeavour favour fibre
    flavour focuss fulfil(?:s|ment)?$ grey harbour honour initiall?is judgement
    labelled labelling labour licence metre$ metres$ modelled modelling mould
    neighbour offence paralys(?:e|ing) plough pretence rumour sceptic signalled
    signalling skilful speciall?is theatre travell(?:ed|ing) tunnelled
    unlabelled vapour
""".split()
WHOLE = """
    ageing amongst burnt catalogue cheque dreamt learnt maths programme
    programmes spelt storey tyre whilst
""".split()
# What ends like a British verb, and is the word of all.
OF_ALL = """
    advertise advise apprise arise chastise circumcise comprise compromise
    concise demise despise devise disguise excise exercise expertise franchise
    guise improvise incise merchandise noise paraphrase poise
    praise precise premise promise raise reprise revise rise supervise surmise
    surprise televise treatise
""".split()
ENDING = re.compile(r"(?P<stem>\w*is)(?:e|es|ed|er|ers|ing|ation|ations)")
# Names from before version 0.3 go on as aliases, and stand as names alone.
OLD_NAMES = re.compile(
    r"""[`"](rematerialise|normalised|generalised_advantages)[`"]"""
    r"|e2e-delexicalised"
)


def is_british(word):
    """Whether a word of small letters is spelled as in Britain."""
    if word in WHOLE or any(re.match(start, word) for start in BEGINNINGS):
        return True
    verb = ENDING.fullmatch(word)
    if verb is None or word.endswith("wise"):
        return False
    return f"{verb['stem']}e" not in OF_ALL


def words(text):
    """The words of prose and of identifiers, in small letters."""
    # SeedSequence is two words, and LoRA is no word at all.
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", OLD_NAMES.sub(" ", text))
    return {part.lower() for part in re.findall(r"[A-Za-z]+", parts)}


@pytest.mark.parametrize(
    "word",
    """
    normalise normalised initialisation generalises tokeniser colours
    behaviour neighbouring labelled modelling centre analyse learnt grey
    """.split(),
)
def test_british_words_are_known(word):
    assert is_british(word)


@pytest.mark.parametrize(
    "word",
    """
    normalize raises rising noise otherwise precise promised supervised
    labeled modeling center analyzer analysis four hours ours metrics
    programmed fulfill fulfilled this basis list island
    """.split(),
)
def test_american_words_are_no_british_ones(word):
    assert not is_british(word)


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_spelling_is_american(path):
    if path == pathlib.Path(__file__):
        return
    found = filter(is_british, words(path.read_text("utf-8")))
    assert sorted(found) == []


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_shares_are_in_percent(path):
    if path != pathlib.Path(__file__):
        assert "per cent" not in path.read_text("utf-8").lower()


def test_old_names_are_excepted_as_names_alone():
    assert "normalised" not in words('offer("normalised")')
    assert "normalised" in words("advantages are normalised")
