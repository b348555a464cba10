"""Enrollment of machines: a one-use code gives a machine its first certificates."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime

from cryptography import x509
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from console import ports
from console.core import audit
from console.core.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from console.core.rates import Rate, TooMany
from console.machines import clones, config, pki, snapshot
from console.machines.models.machines import EnrollmentCode, Gateway, MachineKey
from console.ports import MachineKind
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.enrollment import Enroll, Enrolled

# Failures of an address and of a code. Whoever has a code that is good is asked for the code's own alone.
failures = Rate(lambda: settings.ENROLLMENT_FAILURES_PER_MINUTE)
# Letters of codes without I, L, O, U, 0, 1, so that a code read aloud or typed is not mistaken.
LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"


def _digest(code: str) -> str:
    return hashlib.sha256(code.replace("-", "").strip().upper().encode()).hexdigest()


@transaction.atomic
def code_create(*, kind: str, target: str, actor: audit.Actor, click: str = "") -> tuple[str, EnrollmentCode]:
    """Make a code in the shape ``XXXX-XXXX-XXXX`` (58 bits) and its record; the code itself is not kept.

    ``click`` names the click that asked, if it could be sent twice. Raises ``Conflict`` when it has had its code.
    """
    text = "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))
    now = timezone.now()
    try:
        with transaction.atomic():
            code = EnrollmentCode.objects.create(
                digest=_digest(text),
                kind=kind,
                target=target,
                created_by=str(actor),
                created_at=now,
                expires_at=now + settings.ENROLLMENT_CODE_LIFETIME,
                click=click or None,
            )
    except IntegrityError as error:
        raise Conflict(
            "The command of this click was made and shown before; it is not shown again. Open the Deploy panel for "
            "another one.",
            code="CommandShownBefore",
        ) from error
    audit.record(actor=actor, verb="enrollment_code.create", target=code, after={"kind": kind, "for": target})
    return text, code


@transaction.atomic
def code_revoke(*, target: str, digest: str, actor: audit.Actor) -> None:
    """Make a code useless before its time. Raises ``NotFound`` when it was used or is none of the target's."""
    codes = EnrollmentCode.objects.filter(pk=digest, target=target)
    # Single statement, so that a machine that uses the code at this moment is either quicker or too late.
    if not codes.filter(used_at=None, revoked_at=None).update(revoked_at=timezone.now()):
        raise NotFound("This code was used or revoked before.", code="EnrollmentCodeUnknown")
    audit.record(actor=actor, verb="enrollment_code.revoke", target=codes.get(), before={"for": target})


def enroll(request: Enroll, *, public_address: str) -> Enrolled:
    """Use a code up and admit the machine, which calls from ``public_address``.

    Raises ``Forbidden`` with code EnrollmentCodeUnknown, …Used, …Revoked or …Expired, ``Invalid`` for bad certificate
    requests, in which case the code stays usable, and ``TooMany`` after too many failures of the code or the address.
    """
    digest = _digest(request.code)
    counted = [digest] if _is_open(digest) else [digest, public_address]
    if (wait := max(map(failures.wait, counted))) > 0:
        raise TooMany("Too many enrollments have failed. Try again in a moment.", wait)
    try:
        return _admit(request, public_address)
    except Refusal:
        for key in counted:
            failures.count(key)
        raise


def _is_open(digest: str) -> bool:
    """Tell whether a code can be used: other machines' failures at the same address do not keep its machine away."""
    open_ = EnrollmentCode.objects.filter(used_at=None, revoked_at=None, expires_at__gt=timezone.now())
    return open_.filter(digest=digest).exists()


@transaction.atomic
def _admit(request: Enroll, public_address: str) -> Enrolled:
    now = timezone.now()
    # Lock, so that a code that is used twice at once admits one machine.
    found = (
        EnrollmentCode.objects.select_for_update()
        .filter(digest=_digest(request.code), kind=request.kind)
        .first()
    )
    if found is None:
        raise Forbidden(
            "This enrollment code is not known. Copy the whole command again, or make a new one.",
            code="EnrollmentCodeUnknown",
        )
    if found.used_at is not None:
        raise Forbidden("This enrollment code was used before. Make a new one.", code="EnrollmentCodeUsed")
    if found.revoked_at is not None:
        raise Forbidden("This enrollment code was revoked. Make a new one.", code="EnrollmentCodeRevoked")
    if found.expires_at <= now:
        raise Forbidden("This enrollment code has expired. Make a new one.", code="EnrollmentCodeExpired")
    handler = ports.machine_kinds[request.kind]
    machine, connector = handler.admit(found.target, request, public_address)
    certificates = issue(machine, request.kind, request.csrs)
    MachineKey.objects.update_or_create(
        machine=machine,
        defaults={"kind": request.kind, "public_key": pki.csr_public_key(request.csrs[handler.signing])},
    )
    clones.forget(machine)
    EnrollmentCode.objects.filter(pk=found.pk).update(used_at=now, used_by=machine)
    return Enrolled(
        id=machine,
        kind=request.kind,
        connector=connector,
        certificates=certificates,
        ca=pki.ca_pem(),
        config=handler.configuration(machine).encode(),
    )


def issue(machine: str, kind: str, csrs: Mapping[str, str]) -> dict[str, str]:
    """Sign certificates for exactly the names that this machine must have. Raises ``Invalid``."""
    handler = ports.machine_kinds[kind]
    wanted = handler.names(machine)
    if set(csrs) != set(wanted):
        raise Invalid(f"csrs must hold exactly: {', '.join(sorted(wanted))}.", field="csrs")
    certificates = {
        name: pki.certificate(csrs[name], names=names, server=server, client=client)
        for name, (names, server, client) in wanted.items()
    }
    if handler.issued:
        handler.issued(machine, min(pki.certificate_end(each) for each in certificates.values()))
    return certificates


def _gateway(machine: str) -> Gateway:
    try:
        return Gateway.objects.select_related("region__area").get(pk=machine)
    except Gateway.DoesNotExist as error:
        raise NotFound("This gateway was removed from the console.", code="MachineUnknown") from error


def _admit_gateway(target: str, request: Enroll, public_address: str) -> tuple[str, None]:
    gateway = _gateway(target)
    gateway.enrolled_at = timezone.now()
    gateway.software = request.version
    gateway.save(update_fields=["enrolled_at", "software"])
    audit.record(actor=audit.System("enrollment"), verb="gateway.enroll", target=gateway)
    config.publish(servers=True)  # connector servers dial the new gateway
    return gateway.id, None


def _gateway_names(machine: str) -> dict[str, tuple[list[x509.GeneralName], bool, bool]]:
    gateway = _gateway(machine)
    tunnel: list[x509.GeneralName] = [x509.DNSName(pki.GATEWAY_NAME), x509.DNSName(gateway.id)]
    return {
        "tunnel": (tunnel, True, True),
        "access": ([pki.alternative_name(gateway.public_host)], True, False),
    }


def _gateway_configuration(machine: str) -> GatewayConfiguration:
    return snapshot.build(_gateway(machine))


def _gateway_issued(machine: str, ends_at: datetime) -> None:
    Gateway.objects.filter(pk=machine).update(certificate_ends_at=ends_at)


GATEWAY = MachineKind(
    signing="tunnel",
    admit=_admit_gateway,
    names=_gateway_names,
    configuration=_gateway_configuration,
    issued=_gateway_issued,
)
