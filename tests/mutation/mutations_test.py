"""The mutations apply to the code as it is."""

import mutate
from mutations import MUTATIONS

ROOMS = {"ops", "losses", "trainers", "data", "generation", "metrics"}


def test_what_they_replace_is_there_once():
    # Who changes the line changes the mutation along.
    assert [*mutate.misplaced(MUTATIONS)] == []


def test_there_are_enough_in_each_room():
    files = [mutation.file for mutation in MUTATIONS]
    assert len(files) >= 60
    assert ROOMS <= {file.partition("/")[0] for file in files}


def test_their_tests_are_there():
    for mutation in MUTATIONS:
        assert (mutate.ROOT / "tests" / mutation.tests).exists()


def test_a_text_that_is_gone_is_told():
    gone = MUTATIONS[0]._replace(old="nobody wrote this")
    (found,) = mutate.misplaced([gone])
    assert found.endswith("stands there 0 times")
