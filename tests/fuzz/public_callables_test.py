"""Every public callable survives whatever it is given."""

import pytest
from doors import DOORS
from doors import LEFT_OUT
from doors import public_callables
from harness import fuzz


def test_every_callable_has_a_door():
    known = {*DOORS, *LEFT_OUT}
    missing = sorted(set(public_callables()) - known)
    assert missing == [], "See `harness.py` for how to add a door."


@pytest.mark.parametrize("name", DOORS)
def test_is_right_or_says_what_it_received(name):
    findings = fuzz(name, DOORS[name])
    assert not findings.by_kind, findings.report(name)
