"""Failed enrollments have a share of each minute; a machine with a good code gets in beside them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from console.core import audit
from console.machines import enrollment
from console.models import EnrollmentCode, Gateway
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def three_failures(settings: Settings) -> None:
    settings.ENROLLMENT_FAILURES_PER_MINUTE = 3
    enrollment.failures.forget()


def tries(code: str, address: str = "203.0.113.9", **changes: Any) -> Any:
    body = {"code": code, "kind": "gateway", "csrs": {"tunnel": "x", "access": "x"}} | changes
    return Client(REMOTE_ADDR=address).post("/edge/v1/enroll", body, content_type="application/json")


def new_code(gateway: Gateway) -> str:
    return enrollment.code_create(kind="gateway", target=gateway.pk, actor=audit.System("test"))[0]


def test_an_address_that_guesses_codes_is_told_to_wait_and_others_are_not(gateway: Gateway) -> None:
    for place in range(3):
        assert tries(f"AAAA-BBBB-{place:04}").status_code == 403
    answer = tries("AAAA-BBBB-0009")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "TooMany")
    assert 1 <= int(answer["Retry-After"]) <= 20
    assert tries("AAAA-BBBB-0009", address="203.0.113.10").status_code == 403


def test_a_good_code_gets_in_beside_an_address_that_guesses(gateway: Gateway) -> None:
    for place in range(5):
        tries(f"AAAA-BBBB-{place:04}", address="127.0.0.1")
    assert Machine("gateway", gateway.pk).id == gateway.pk


def test_a_code_has_so_many_attempts_from_wherever_they_come(gateway: Gateway) -> None:
    code = new_code(gateway)
    for place in range(3):
        assert tries(code, address=f"203.0.113.{place}").status_code == 400, "a bad certificate request"
    assert tries(code, address="203.0.113.9").status_code == 429
    assert EnrollmentCode.objects.get().used_at is None
    enrollment.failures.forget()  # a minute later
    machine = Machine("gateway", gateway.pk)
    assert machine.enroll(code).status_code == 200
