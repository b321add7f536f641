"""Rules of roles: what each family adds to the layers of most."""

import re

import pytest

from keras_irl.families import role_rules
from keras_irl.families.role_rules import RoleRule

RULES = {
    rule
    for value in vars(role_rules).values()
    if isinstance(value, tuple)
    for rule in value
    if isinstance(rule, RoleRule)
}


def test_a_pattern_has_one_role_and_one_axis():
    patterns = [rule.pattern for rule in RULES]
    assert len(patterns) == len(set(patterns)) > len(role_rules.TRANSFORMER)


@pytest.mark.parametrize("rule", sorted(RULES, key=str), ids=str)
def test_a_rule_names_whole_parts_of_a_path(rule):
    # It is matched behind a slash, and against the end: an anchor or a
    # leading slash of its own would never match.
    assert not re.search(r"^[/^]|\$$", rule.pattern)
    assert re.compile(rule.pattern).fullmatch("") is None
    assert rule.axis in (0, 1, -1, None)
    assert (rule.axis is None) == (rule.role == "whole")
