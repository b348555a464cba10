"""The end of a console with a front: requests in hand are answered, and nothing outlives the others."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.console.front.served import PATIENCE, Served, request, rest_of

pytestmark = [pytest.mark.processes, pytest.mark.slow]


@pytest.fixture
def served(tmp_path: Path, made: Path) -> Iterator[Served]:
    console = Served(tmp_path, made, tls=False)
    with console.running():
        yield console


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=0)[1]


def test_told_to_end_it_answers_what_is_in_hand_and_leaves_nothing(served: Served) -> None:
    assert served.process
    children = served.children()
    with served.connect() as connection:
        connection.sendall(request("POST /edge/v1/enroll", b"{", length=2))
        served.process.send_signal(signal.SIGTERM)
        served.until(lambda: "in hand" in served.said(), "it has heard")
        connection.sendall(b"}")
        answer = rest_of(connection)
    assert answer.startswith(b"HTTP/1.1 422 "), answer
    assert served.process.wait(PATIENCE) == 0
    assert gone(children)
    assert list(served.folder.glob("front-*")) == [], "the key is not left behind"


@pytest.mark.parametrize("part", ["envoy", "granian"])
def test_one_part_that_ends_ends_all_with_a_sentence(served: Served, part: str) -> None:
    assert served.process
    children = served.children()
    direct = [each for each in children if each.ppid() == served.process.pid]
    victim = next(each for each in direct if part in " ".join(each.cmdline()))
    victim.kill()
    assert served.process.wait(PATIENCE) == 1
    assert "has ended with code -9, and so the console ends" in served.said()
    served.until(lambda: gone(children), "no part is left")


def test_killed_it_takes_its_parts_along_and_starts_again(served: Served) -> None:
    assert served.process
    children = served.children()
    served.process.kill()
    served.process.wait()
    served.until(lambda: gone(children), "no part is left")
    with served.running():
        assert served.answers()


def test_a_second_console_on_the_port_leaves_the_first_alone(served: Served) -> None:
    first = served.process
    second = served.start()
    assert second.wait(PATIENCE) == 1 and "served already" in served.said()
    served.process = first
    assert served.answers()


def test_a_port_that_is_taken_is_no_port_to_share(tmp_path: Path, made: Path) -> None:
    console = Served(tmp_path, made, tls=False)
    with socket.create_server(("127.0.0.1", console.port)):
        assert console.start().wait(PATIENCE) == 1
    assert "Envoy has ended with code 1" in console.said() and "Address already in use" in console.said()


def test_a_key_of_another_certificate_is_named_at_the_start(tmp_path: Path) -> None:
    console = Served(tmp_path)
    console.key.write_bytes(console.authority.issue(["127.0.0.1"])[0])
    assert console.start().wait(PATIENCE) == 1
    assert "tls.key does not belong to the first certificate" in console.said()


def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    console = Served(tmp_path, tls=False)
    assert console.start(f"--tls-certificate={console.certificate}").wait(PATIENCE) == 1
    assert "Give --tls-certificate and --tls-key together, or neither." in console.said()
