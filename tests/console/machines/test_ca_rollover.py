"""A new certificate authority, step by step: what was issued before is always still checked by somebody's list."""

from datetime import timedelta
from io import StringIO

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from console.machines import pki
from console.models import AuditRow, Authority, Gateway
from tests.console.forging import as_owner_of_the_table
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db


def ca(step: str, *options: str) -> str:
    output = StringIO()
    call_command("ca", step, *options, stdout=output)
    return output.getvalue()


def trusts(bundle: str, certificate: str) -> bool:
    issued = x509.load_pem_x509_certificate(certificate.encode())
    for authority in x509.load_pem_x509_certificates(bundle.encode()):
        try:
            issued.verify_directly_issued_by(authority)
        except (ValueError, InvalidSignature):
            continue
        return True
    return False


def a_life_later() -> None:
    """Move what was done so far into the past."""
    past = timezone.now() - settings.CERTIFICATE_LIFETIME - timedelta(hours=1)
    for authority in Authority.objects.filter(kind="ca"):
        Authority.objects.filter(pk=authority.pk).update(
            created_at=authority.created_at - (timezone.now() - past)
        )
    with as_owner_of_the_table():
        AuditRow.objects.filter(verb="authority.switch").update(at=past)


def test_no_step_leaves_a_certificate_that_a_machine_cannot_check(gateway: Gateway) -> None:
    before = Machine("gateway", gateway.pk).answer
    ca("add")
    added = Machine("gateway", gateway.pk).answer
    assert trusts(before["ca"], added["certificates"]["tunnel"]), "the old one still signs"
    assert len(x509.load_pem_x509_certificates(added["ca"].encode())) == 2
    a_life_later()
    ca("switch")
    switched = Machine("gateway", gateway.pk).answer
    assert trusts(added["ca"], switched["certificates"]["tunnel"])
    assert not trusts(before["ca"], switched["certificates"]["tunnel"]), "another one signs now"
    assert trusts(switched["ca"], added["certificates"]["tunnel"]), "what is not renewed yet is good"
    a_life_later()
    ca("retire")
    assert trusts(pki.ca_pem(), switched["certificates"]["tunnel"])
    assert not trusts(pki.ca_pem(), before["certificates"]["tunnel"])
    verbs = AuditRow.objects.filter(verb__startswith="authority.").values_list("verb", flat=True)
    assert sorted(verbs) == ["authority.add", "authority.retire", "authority.switch"]


def test_no_step_comes_before_every_machine_has_renewed(db: None) -> None:
    pki.authority("ca")
    for step in ("switch", "retire"):
        with pytest.raises(CommandError, match="There is no"):
            ca(step)
    ca("add")
    with pytest.raises(CommandError, match="under way"):
        ca("add")
    with pytest.raises(CommandError, match="Machines renew until"):
        ca("switch")
    ca("switch", "--force")
    with pytest.raises(CommandError, match="Machines renew until"):
        ca("retire")
    assert Authority.objects.filter(kind="ca").count() == 2
    assert "signs" in ca("retire", "--force")
