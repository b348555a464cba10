"""Nothing acknowledged is lost, nothing is sent twice; bounded; alive on a full disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.machine.spool import Spool
from tests.edge.small_disk import filled, small_disk

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 3)),
        st.tuples(st.just("latest"), st.sampled_from("abc")),
        st.tuples(st.just("send"), st.integers(1, 4)),
        st.tuples(st.just("replace while sending"), st.sampled_from("abc")),
        st.tuples(st.just("unanswered"), st.integers(1, 4)),
        st.tuples(st.just("reopen"), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(OPERATIONS)
def test_everything_is_sent_exactly_once_whatever_happens_between(
    operations: list[tuple[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool.db"
        spool = Spool(path)
        number, single, latest, sent = 0, [], {}, []

        def send(limit: int, replace: str | None = None) -> None:
            nonlocal number
            tokens, records = spool.peek("kind", limit)
            if replace is not None:
                number += 1
                latest[replace] = number
                spool.put_latest("kind", replace, {"number": number, "key": replace})
            sent.extend(records)
            spool.drop(tokens)

        for name, value in operations:
            if name == "put":
                number += 1
                single.append(number)
                spool.put("kind", {"number": number})
            elif name == "latest":
                number += 1
                latest[value] = number
                spool.put_latest("kind", value, {"number": number, "key": value})
            elif name == "send":
                send(int(value))
            elif name == "replace while sending":
                send(3, replace=value)
            elif name == "unanswered":
                spool.peek("kind", int(value))
            else:
                spool.close()
                spool = Spool(path)
        send(1000)
        assert spool.peek("kind", 1) == ([], [])
        spool.close()

        numbers = [record["number"] for record in sent]
        assert len(numbers) == len(set(numbers))
        assert [record["number"] for record in sent if "key" not in record] == single
        assert {record["key"]: record["number"] for record in sent if "key" in record} == latest


def test_the_oldest_records_go_when_the_limit_is_reached(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", limit_bytes=50_000)
    for number in range(2000):
        spool.put("kind", {"number": number, "padding": "x" * 100})
    _, records = spool.peek("kind", 5000)
    numbers = [record["number"] for record in records]
    assert numbers == list(range(numbers[0], 2000))
    assert 150 < len(numbers) < 350
    assert sum(file.stat().st_size for file in tmp_path.glob("spool.db")) < 250_000


def test_kinds_are_kept_apart(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    spool.put("a", {"number": 1})
    spool.put("b", {"number": 2})
    assert spool.peek("b", 10)[1] == [{"number": 2}]


def test_a_note_is_written_with_its_records(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    spool.put_all("kind", [{"number": 1}, {"number": 2}], note=("counters", {"rx": 7}))
    spool.close()
    again = Spool(tmp_path / "spool.db")
    assert again.note("counters") == {"rx": 7}
    assert len(again.peek("kind", 10)[0]) == 2
    assert again.note("other") is None


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    spool = Spool(path)
    spool.put("kind", {"number": 1})
    assert spool.peek("kind", 10)[1] == [{"number": 1}]
    assert (tmp_path / "spool.damaged").exists()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4) as folder:
        yield folder


@pytest.mark.processes
def test_a_full_disk_loses_and_doubles_nothing(disk: Path) -> None:
    spool = Spool(disk / "spool.db")
    for number in range(20):
        spool.put("kind", {"number": number})
    with filled(disk):
        for number in range(20, 2000):
            spool.put("kind", {"number": number, "padding": "x" * 100})
        tokens, first = spool.peek("kind", 50)
    # The disk takes records again between the look and the acknowledgement.
    spool.put("kind", {"number": 2000})
    spool.drop(tokens)
    sent = [record["number"] for record in first]
    while True:
        tokens, records = spool.peek("kind", 100)
        if not tokens:
            break
        sent += [record["number"] for record in records]
        spool.drop(tokens)
    spool.close()
    assert sent == list(range(2001))


@pytest.mark.processes
@pytest.mark.parametrize("known", [True, False], ids=["of before", "new"])
def test_one_that_is_opened_on_a_full_disk_takes_records_and_knows_what_it_knew(
    disk: Path, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if known:
        before = Spool(disk / "spool.db")
        before.put_all("kind", [{"number": 0}], note=("counters", {"rx": 7}))
        before.close()
    expected = list(range(0 if known else 1, 21))
    with filled(disk):
        spool = Spool(disk / "spool.db")
        for number in range(1, 20):
            spool.put("kind", {"number": number})
        assert spool.note("counters") == ({"rx": 7} if known else None)
        assert [record["number"] for record in spool.peek("kind", 100)[1]] == expected[:-1]
    assert len(caplog.records) == 1, "told once"
    spool.put("kind", {"number": 20})
    spool.close()
    after = Spool(disk / "spool.db")
    assert [record["number"] for record in after.peek("kind", 100)[1]] == expected
    after.close()
