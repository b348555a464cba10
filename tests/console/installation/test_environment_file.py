"""What is written into an environment file comes back, and means the same to a shell and to systemd."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.core import environment_file
from console.core.environment_file import EnvironmentFileInvalid, parse, text
from tests.running import ran

VALUES = st.text(st.characters(exclude_categories=("Cc", "Cs"))).filter(
    lambda value: value == value.strip("\x85")
)
DIFFICULT = [
    "",
    " a  b ",
    "it's",
    'say "hi"',
    "$HOME `id` \\n \\",
    "ü 京 ß",
    "#1;2",
    "a=b",
    "!x",
    "%h",
    "'\"'",
]


@given(st.lists(VALUES))
def test_every_value_comes_back(values: list[str]) -> None:
    variables = {f"CAUSEWAY_{number}": value for number, value in enumerate(values)}
    assert parse(text(variables)) == variables


@pytest.mark.processes
def test_a_shell_reads_the_same(tmp_path: Path) -> None:
    variables = {f"CAUSEWAY_{number}": value for number, value in enumerate(DIFFICULT)}
    file = tmp_path / "a file.env"
    environment_file.write(file, variables, "heading\nof two lines")
    assert file.stat().st_mode & 0o777 == 0o600
    said = ran("sh", "-c", 'set -a; . "$1"; env -0', "sh", file, env={"PATH": os.defpath}).stdout
    found = dict(each.split("=", 1) for each in said.split("\0") if each.startswith("CAUSEWAY_"))
    assert found == variables == environment_file.read(file)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("A=b", "b"),
        ("A=b c  \n", "b c"),
        (" A = b\r\n", "b"),
        ("A=it's\n", "it's"),
        ("A='b' \"c\"\n", "bc"),
        ("A='b\\'\n", "b\\"),
        ('A="b\\"c\\d"\n', 'b"c\\d'),
        ("A=b\\ c\\ \n", "b c "),
        ("A=b\\\nc\n", "bc"),
        ("# A=x\\\nA=y\n; z\nA=b # c\n", "b # c"),
        ("A=x\nA=\n", ""),
    ],
)
def test_what_people_write_is_read_as_systemd_reads_it(content: str, value: str) -> None:
    assert parse(content) == {"A": value}


@pytest.mark.parametrize(
    "content", ["\nA", "\nexport A=b", "\nA='b", '\nA="b', "\nA=b\\", "\n1A=b", "\nA B=c"]
)
def test_a_line_that_is_no_assignment_is_named(content: str) -> None:
    with pytest.raises(EnvironmentFileInvalid, match="line 2"):
        parse(content)


@pytest.mark.parametrize("value", ["a\nb", "a\0", "\x1b[0m", "a\r"])
def test_what_no_line_can_hold_is_refused(value: str) -> None:
    with pytest.raises(EnvironmentFileInvalid, match="CAUSEWAY_A holds a line break"):
        text({"CAUSEWAY_A": value})
