"""Figures of the code's shape are those of the files, and a limit that is not kept is named."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tools import shape

FUNCTIONS = '''
import functools


@functools.cache
def one() -> int:
    """A sentence."""

    def inner() -> int:
        return 1

    return inner()


class Some:
    async def other(self) -> dict[str, Any]: ...
'''


def written(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def function(lines: int) -> str:
    return "def some():\n" + "    pass\n" * (lines - 1)


def sentences(root: Path) -> list[str]:
    return list(shape.broken(shape.read(root, "some")))


def test_a_function_counts_from_its_def_to_its_last_line(tmp_path: Path) -> None:
    written(tmp_path, "some/some.py", FUNCTIONS)
    (file,) = shape.read(tmp_path, "some")
    assert (file.path, file.length, file.loose) == ("some/some.py", 16, 1)
    found = {each.name: (each.line, each.length) for each in file.functions}
    assert found == {"one": (6, 7), "inner": (9, 2), "other": (16, 1)}


def test_migrations_and_what_is_no_python_do_not_count(tmp_path: Path) -> None:
    written(tmp_path, "some/migrations/0001_initial.py", function(500))
    written(tmp_path, "some/some.c", "int main;\n" * 500)
    written(tmp_path, "some/rooms/some.py", "")
    assert [file.path for file in shape.read(tmp_path, "some")] == ["some/rooms/some.py"]


@pytest.mark.parametrize(
    ("percent", "lengths", "expected"),
    [
        (90, [], 0),
        (50, [7], 7),
        (50, range(1, 11), 5),
        (90, range(1, 11), 9),
        (90, range(1, 12), 10),
        (100, [3, 1, 2], 3),
    ],
)
def test_so_many_percent_of_all_are_no_longer_than_that(
    percent: int, lengths: Iterable[int], expected: int
) -> None:
    assert shape.at(percent, lengths) == expected


def test_what_keeps_to_the_limits_is_no_fault(tmp_path: Path) -> None:
    written(tmp_path, "some/long.py", "x = 1\n" * 400)
    for number in range(9):
        written(tmp_path, f"some/usual_{number}.py", function(20) + "\n" * 230)
    assert sentences(tmp_path) == []


def test_a_file_that_is_too_long_is_named(tmp_path: Path) -> None:
    written(tmp_path, "some/long.py", "x = 1\n" * 401)
    for number in range(9):
        written(tmp_path, f"some/usual_{number}.py", "")
    assert sentences(tmp_path) == ["No file may have more than 400 lines. Split some/long.py (401)."]


def test_many_files_and_functions_that_are_rather_long_are_faults(tmp_path: Path) -> None:
    for number in range(8):
        written(tmp_path, f"some/usual_{number}.py", function(5))
    for number in range(2):
        written(tmp_path, f"some/longer_{number}.py", function(21) + "\n" * 230)
    files, functions = sentences(tmp_path)
    assert files.startswith("Nine of ten files must have at most 250 lines; they have up to 251.")
    assert functions.startswith("Nine of ten functions must have at most 20 lines; they have up to 21.")


def test_the_program_fails_for_a_limit_only_when_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    floor = shape.FLOORS[1]
    written(tmp_path, f"{floor}/long.py", function(401))
    written(tmp_path, f"{shape.TESTS}/test_some.py", function(3) + "def other() -> dict[str, Any]: ...\n")
    assert shape.main([], tmp_path) == 0
    told = capsys.readouterr().out
    lines = [line.split() for line in told.splitlines()]
    assert [floor, "1", "401", *["401"] * 6, "0"] in lines
    assert [shape.TESTS, "1", "4", "4", "4", "4", "1", "3", "3", "1"] in lines
    assert [f"{floor}/long.py", "(401)"] in lines and [f"{floor}/long.py:1", "some", "(401)"] in lines
    assert "No file may" not in told
    assert shape.main(["--limits"], tmp_path) == 1
    assert "No file may have more than 400 lines." in capsys.readouterr().out
