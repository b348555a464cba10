"""Second factor of log-ins: one-time codes of an app (TOTP, RFC 6238) and recovery codes, both of which count once.

Codes are made and compared by the package cryptography, which the console has anyway. The secret of an app lies sealed
in the database, recovery codes as hashes.
"""

import base64
import hashlib
import secrets
import time
from datetime import timedelta

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from console.core import audit
from console.core.errors import Conflict, Invalid
from console.core.models.access import SECOND_FACTORS, SecondFactor, User
from console.core.rates import TooMany
from console.core.sealed import open_text, seal_text

OFF, ADMINISTRATORS, ALL = "off", "administrators", "all"
# Name in a session that was begun, or went on, with a second factor.
PASSED = "second_factor"
STEP, DIGITS = 30, 6
RECOVERY_CODES = 10
# Wrong codes in a row after which an app's codes are not looked at for a while, from wherever they come. Whoever has
# the password could guess on from many addresses else. Recovery codes, which nobody guesses, are looked at always.
MOST_FAILURES = 20
PAUSE = timedelta(minutes=15)
WRONG = "This code is wrong, was used already, or its time is over. Type the code that your app shows now."


def required(user: User) -> bool:
    """Return whether the settings demand a second factor of a user."""
    wanted = settings.SECOND_FACTOR
    return wanted == ALL or (wanted == ADMINISTRATORS and user.role == User.Role.ADMINISTRATOR)


def lacks(request: HttpRequest) -> bool:
    """Return whether the user of a request must set up a second factor before anything else."""
    user = request.user
    return isinstance(user, User) and required(user) and not request.session.get(PASSED)


def new_secret() -> str:
    """Make an app's secret as apps write it, in base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def address(user: User, secret: str) -> str:
    """Return the ``otpauth://`` address by which an app takes a secret."""
    return _totp(secret).get_provisioning_uri(user.username, settings.SECOND_FACTOR_ISSUER)


@transaction.atomic
def factor_create(*, user: User, secret: str, code: str) -> list[str]:
    """Set up a user's second factor, proved by a code of the app; return the recovery codes, which are told this once.

    Raises ``Invalid`` naming ``code``, ``Conflict`` for a user who has one.
    """
    User.objects.select_for_update().get(pk=user.pk)
    if SecondFactor.objects.filter(user=user).exists():
        raise Conflict("You have a second factor already. Remove that one first.")
    step = _step_of(secret, code, after=0)
    if step is None:
        raise Invalid(WRONG, field="code")
    codes = _recovery_codes()
    SecondFactor.objects.create(
        user=user, secret=seal_text(SECOND_FACTORS, secret), last_step=step, recovery=_hashes(codes)
    )
    audit.record(actor=user, verb="user.factor_create", target=user)
    return codes


@transaction.atomic
def passes(user: User, code: str) -> bool:
    """Return whether a code is the user's, and use the code up. Raises `TooMany` after many wrong ones in a row."""
    factor = SecondFactor.objects.select_for_update().filter(user=user).first()
    if factor is None:
        return False
    code = "".join(code.split()).replace("-", "").upper()
    if _hash(code) in factor.recovery:
        factor.recovery.remove(_hash(code))
        audit.record(
            actor=user, verb="user.recovery_code_use", target=user, after={"left": len(factor.recovery)}
        )
    else:
        _not_too_many(factor)
        step = _step_of(open_text(SECOND_FACTORS, factor.secret), code, after=factor.last_step)
        if step is None:
            factor.failures, factor.failed_at = factor.failures + 1, timezone.now()
            factor.save(update_fields=["failures", "failed_at"])
            return False
        factor.last_step = step
    factor.failures = 0
    factor.save(update_fields=["last_step", "recovery", "failures"])
    return True


def recovery_codes_renew(*, user: User, code: str) -> list[str]:
    """Replace a user's recovery codes; return the new ones, which are told this once. Raises as `factor_remove`."""
    _proved(user, code)
    codes = _recovery_codes()
    with transaction.atomic():
        SecondFactor.objects.filter(user=user).update(recovery=_hashes(codes))
        audit.record(actor=user, verb="user.recovery_codes_renew", target=user)
    return codes


def factor_remove(*, user: User, code: str) -> None:
    """Remove the own second factor. Raises ``Invalid`` naming ``code``, ``Conflict`` where the settings demand one."""
    if required(user):
        raise Conflict("The console's settings demand a second factor of you, so it cannot be removed.")
    _proved(user, code)
    factor_reset(user=user, actor=user)


@transaction.atomic
def factor_reset(*, user: User, actor: audit.Actor) -> None:
    """Take a user's second factor away, since the user lost it. Raises ``Conflict`` for a user who has none."""
    if not SecondFactor.objects.filter(user=user).delete()[0]:
        raise Conflict(f"{user.username} has no second factor.")
    audit.record(actor=actor, verb="user.factor_delete", target=user)


def _proved(user: User, code: str) -> None:
    """Raise ``Invalid`` unless a code is the user's. Wrong codes count, so no transaction that is undone holds this."""
    if not SecondFactor.objects.filter(user=user).exists():
        raise Conflict("You have no second factor.")
    if not passes(user, code):
        raise Invalid(WRONG, field="code")


def _not_too_many(factor: SecondFactor) -> None:
    if factor.failures < MOST_FAILURES or factor.failed_at is None:
        return
    rest = (factor.failed_at + PAUSE - timezone.now()).total_seconds()
    if rest > 0:
        sentence = "Too many wrong codes were typed for this user. Wait a quarter of an hour, or type a recovery code."
        raise TooMany(sentence, rest)


def _totp(secret: str) -> TOTP:
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), STEP)  # nosec B303 # noqa: S303 (what apps know)


def _step_of(secret: str, code: str, *, after: int) -> int | None:
    """Return the step of time whose code this is, the present one or one beside; None unless later than ``after``."""
    now = int(time.time()) // STEP
    if not (code.isascii() and code.isdigit()):
        return None
    for step in (now, now - 1, now + 1):
        try:
            _totp(secret).verify(code.encode(), step * STEP)
        except InvalidToken:
            continue
        return step if step > after else None
    return None


def _recovery_codes() -> list[str]:
    made = (base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(RECOVERY_CODES))
    return ["-".join(code[place : place + 4] for place in range(0, 16, 4)) for code in made]


def _hash(code: str) -> str:
    """Hash a code of 80 random bits, which nobody finds by its hash."""
    return hashlib.sha256(f"causeway.recovery:{code}".encode()).hexdigest()


def _hashes(codes: list[str]) -> list[str]:
    return [_hash(code.replace("-", "")) for code in codes]
