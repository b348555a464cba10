"""A machine introduces itself: one code, one machine, names of the console's choosing."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from django.conf import settings
from django.test import Client
from django.utils import timezone

from console.core import audit
from console.machines import enrollment, pki
from console.models import EnrollmentCode, Gateway, MachineKey
from tests.console.machine import Machine, csr

pytestmark = pytest.mark.django_db


def new_code(gateway: Gateway) -> str:
    return enrollment.code_create(kind="gateway", target=gateway.pk, actor=audit.System("test"))[0]


def post(body: dict[str, Any]) -> tuple[int, dict]:
    response = Client().post("/edge/v1/enroll", body, content_type="application/json")
    return response.status_code, response.json()


def test_certificates_carry_the_consoles_names_and_not_the_requests(
    machine: Machine, gateway: Gateway
) -> None:
    certificates = {
        name: x509.load_pem_x509_certificate(pem.encode())
        for name, pem in machine.answer["certificates"].items()
    }
    sans = {
        name: certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        for name, certificate in certificates.items()
    }
    assert sans["tunnel"].get_values_for_type(x509.DNSName) == [pki.GATEWAY_NAME, gateway.pk]
    assert [str(ip) for ip in sans["access"].get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert not certificates["tunnel"].subject.rdns
    ca = x509.load_pem_x509_certificate(machine.answer["ca"].encode())
    certificates["access"].verify_directly_issued_by(ca)
    life = certificates["access"].not_valid_after_utc - timezone.now()
    assert timedelta() < life <= settings.CERTIFICATE_LIFETIME
    # A machine whose clock is an hour behind can use them at once.
    for certificate in certificates.values():
        assert certificate.not_valid_before_utc < timezone.now() - timedelta(hours=1)


def test_the_console_knows_when_a_gateways_certificates_end(machine: Machine, gateway: Gateway) -> None:
    gateway.refresh_from_db()
    given = x509.load_pem_x509_certificate(machine.answer["certificates"]["tunnel"].encode())
    assert gateway.certificate_ends_at
    assert abs(gateway.certificate_ends_at - given.not_valid_after_utc) < timedelta(seconds=5)
    type(gateway).objects.update(certificate_ends_at=None)
    assert machine.call("renew", {"csrs": machine.csrs()}).status_code == 200
    gateway.refresh_from_db()
    assert gateway.certificate_ends_at is not None


def test_a_gateways_first_answer_brings_its_configuration(gateway: Gateway) -> None:
    answer = Machine("gateway", gateway.pk).answer
    assert answer["config"]["gateway"]["client_port"] == gateway.client_port
    assert answer["config"]["gateway"]["area"] == "mainland-china"


def test_a_code_works_once(machine: Machine, gateway: Gateway) -> None:
    code = new_code(gateway)
    assert machine.enroll(code).status_code == 200
    refused = machine.enroll(code)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "EnrollmentCodeUsed")


def test_an_expired_code_is_refused(machine: Machine, gateway: Gateway) -> None:
    code = new_code(gateway)
    EnrollmentCode.objects.filter(used_at=None).update(expires_at=timezone.now())
    assert machine.enroll(code).json()["error"]["code"] == "EnrollmentCodeExpired"


def test_a_made_up_code_is_refused_and_leaves_no_key(machine: Machine, gateway: Gateway) -> None:
    refused = machine.enroll("ABCD-EFGH-JKMN")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "EnrollmentCodeUnknown")
    assert list(MachineKey.objects.values_list("machine", flat=True)) == [gateway.pk]


def test_a_gateways_code_does_not_admit_a_server(machine: Machine, gateway: Gateway) -> None:
    code = new_code(gateway)
    body = {"code": code, "kind": "server", "csrs": machine.csrs()}
    assert post(body) == (403, post(body)[1])
    assert EnrollmentCode.objects.filter(used_at=None).count() == 1


def test_bad_certificate_requests_leave_the_code_usable(machine: Machine, gateway: Gateway) -> None:
    code = new_code(gateway)
    for csrs in ({"tunnel": "no request", "access": "none"}, {"tunnel": csr(machine.keys["tunnel"])}, {}):
        status, body = post({"code": code, "kind": "gateway", "csrs": csrs})
        assert (status, body["error"]["field"]) == (400, "csrs")
    assert machine.enroll(code).status_code == 200


def test_only_a_hash_of_the_code_is_kept(gateway: Gateway) -> None:
    code = new_code(gateway)
    row = EnrollmentCode.objects.get()
    stored = " ".join(str(value) for value in vars(row).values())
    assert code not in stored
    assert code.replace("-", "") not in stored


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        [],
        {},
        {"code": 5, "kind": "gateway", "csrs": {}},
        {"code": "ABCD-EFGH-JKMN", "kind": "toaster", "csrs": {}},
        {"code": "AB\0D-EFGH-JKMN", "kind": "gateway", "csrs": {}},
        {"code": "ABCD-EFGH-JKMN", "kind": "gateway", "csrs": {}, "surprise": 1},
        {"code": "ABCD-EFGH-JKMN", "kind": "gateway", "csrs": {"tunnel": None}},
    ],
)
def test_junk_gets_a_sentence_and_never_a_500(db: None, body: dict[str, Any] | list[Any] | str) -> None:
    response = Client().post("/edge/v1/enroll", body, content_type="application/json")
    assert 400 <= response.status_code < 500
    assert response.json()["error"]["message"].endswith(".")
