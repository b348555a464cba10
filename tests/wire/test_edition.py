"""Editions: which configuration takes another's place, between all releases."""

import pytest

from edge.protocol.edition import NONE, Edition

HERE, LATER, OLD = "e0", "e1", ""
# What a machine works by, what the console has: whether the machine takes it, and whether it must refuse it.
CASES = [
    (NONE, Edition(HERE, 1), True, False),
    (NONE, Edition(OLD, 1), True, False),
    (Edition(HERE, 7), Edition(HERE, 7), False, False),
    (Edition(HERE, 7), Edition(HERE, 8), True, False),
    (Edition(HERE, 7), Edition(HERE, 6), False, True),
    (Edition(HERE, 40), Edition(LATER, 21), True, False),
    (Edition(HERE, 40), Edition(LATER, 40), True, False),
    # The console was of release 0.1 when it gave the configuration, or is one while others beside it are newer.
    (Edition(OLD, 7), Edition(HERE, 7), False, False),
    (Edition(OLD, 7), Edition(HERE, 8), True, False),
    (Edition(HERE, 7), Edition(OLD, 7), False, False),
    (Edition(HERE, 7), Edition(OLD, 6), False, True),
]


@pytest.mark.parametrize(("mine", "given", "taken", "refused"), CASES)
def test_what_a_machine_takes(mine: Edition, given: Edition, taken: bool, refused: bool) -> None:
    assert (given.follows(mine), given.is_older_than(mine)) == (taken, refused)
