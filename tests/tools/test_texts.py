"""The checks of spelling and citations find what is planted, where it stands, and leave alone what is right."""

import pytest

from tools import citations, spelling


def spelt(name: str, content: str) -> list[tuple[int, str]]:
    terms, _ = spelling.read(spelling.LIST.read_text(encoding="utf-8"))
    return [(line, found) for line, found, _ in spelling.faults(name, content, terms)]


def cited(name: str, content: str) -> list[tuple[int, str]]:
    return [(line, found) for line, found, _ in citations.faults(name, content)]


def test_a_wrong_term_is_found_in_names_and_in_sentences() -> None:
    content = 'def licence_end():\n    """Of the enrolment."""\n'
    assert spelt("some.py", content) == [(1, "licence"), (2, "enrolment")]


def test_a_name_in_code_may_be_written_as_code_is() -> None:
    assert spelt("some.py", "logon = rollup(color)\n") == []
    assert spelt("some.md", "Call `logon` and\n```\nrollup color\n```\n") == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("some.py", '"""One.\n\nThe logon.\n"""\n'),
        ("some.html", '<p>\n  {% if x %}\n  <b class="x">The logon</b>\n'),
        ("some.md", "One\n\nThe logon.\n"),
        ("some.sh", "a=1\nb=2\n# The logon.\n"),
    ],
)
def test_a_wrong_term_in_a_sentence_is_found_in_its_line(name: str, content: str) -> None:
    assert spelt(name, content) == [(3, "logon")]


@pytest.mark.parametrize(
    "citation",
    [
        "facts A.6",
        "design §4",
        "docs/nothing.md",
        "console/nothing.py",
        "docs/pages.md#nowhere",
        "tests/tools/test_texts.py::test_nothing_of_the_kind",
        "tests/console/pages/test_shell.py::TestNothing::test_logging_out_says_what_it_does_not_end",
    ],
)
def test_a_citation_of_what_is_not_there_is_found(citation: str) -> None:
    assert cited("docs/some.md", f"First.\nSee {citation} for it.\n") == [(2, citation)]


def test_a_citation_of_what_is_there_is_right() -> None:
    content = (
        "See docs/pages.md, [a list](pages.md#a-list), `console/kit/tables.py` and `console.kit.tables`,\n"
        "`tests/tools/test_texts.py::test_a_citation_of_what_is_there_is_right`.\n"
    )
    assert cited("docs/some.md", content) == []
