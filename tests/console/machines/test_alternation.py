"""One machine is never taken for two, whatever it goes through; two that live are found, however they call."""

from hypothesis import given
from hypothesis import strategies as st

from console.machines.alternation import QUIET, Course

DAY = 86_400.0
# Seconds from one call to the next, of one machine.
PAUSES = st.lists(st.floats(0, 2 * QUIET), min_size=1, max_size=12)


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[str, float]]:
    """Calls of one machine as they arrive: starts one after the other, the last calls of each overtaken."""
    arrived: list[tuple[str, float]] = []
    late: list[tuple[str, float]] = []
    now = 1_000_000.0
    for number in range(draw(st.integers(1, 6))):
        made = []
        now += 1.0
        for pause in draw(PAUSES):
            now += pause
            made.append((f"{number:016x}", now))
        held = draw(st.integers(0, min(3, len(made) - 1)))
        # What is held back of the start before arrives somewhere among the calls of this one.
        for call in late:
            made.insert(draw(st.integers(0, len(made) - held)), call)
        late = made[len(made) - held :] if held else []
        arrived += made[: len(made) - held]
    return arrived + late


@given(lives())
def test_one_machine_that_is_started_again_and_again_is_one(calls: list[tuple[str, float]]) -> None:
    course = Course()
    for start, signed in calls:
        course = course.heard(start, signed)
        assert not course.copies(signed)


@given(st.lists(st.booleans(), max_size=30), st.floats(10, 60), st.integers(2, 3))
def test_machines_that_live_together_are_found(order: list[bool], pause: float, machines: int) -> None:
    """In any order at first; once each has called four times by turns, all are known."""
    course, now = Course(), 1_000_000.0
    by_turns = [number for _ in range(4) for number in range(machines)]
    for number in [*map(int, order), *by_turns]:
        now += pause
        course = course.heard(f"{number:016x}", now)
    assert course.copies(now) == {f"{number:016x}" for number in range(machines)}


def test_a_machine_that_was_set_back_with_its_memory_is_one() -> None:
    """The older start comes back for good; the newer one is never heard again."""
    course = Course()
    for place, start in enumerate("aaabbbaaaa"):
        course = course.heard(start * 16, 1_000_000.0 + 20 * place)
    assert not course.copies(1_000_200.0)


def test_an_agent_that_ends_while_its_successor_has_begun_is_one_with_it() -> None:
    course = Course()
    for place, start in enumerate("ababababab"):
        course = course.heard(start * 16, 1_000_000.0 + 3 * place)
    assert not course.copies(1_000_030.0)
    assert not course.heard("b" * 16, 1_000_090.0).copies(1_000_090.0)


def test_two_that_lived_together_once_are_one_again_when_one_has_fallen_silent() -> None:
    course, now = Course(), 1_000_000.0
    for place, start in enumerate("abababab"):
        now = 1_000_000.0 + 20 * place
        course = course.heard(start * 16, now)
    assert course.copies(now) == {"a" * 16, "b" * 16}
    later = course.heard("b" * 16, now + QUIET + 1)  # the last of all calls of both was that of b
    assert not later.copies(now + QUIET + 1)
    again = later.heard("c" * 16, now + DAY)
    assert not again.copies(now + DAY)
