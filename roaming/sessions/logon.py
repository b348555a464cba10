"""Log-on, renewal and log-off of client accounts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from console.core import hashing
from console.core.errors import Forbidden, NotFound, Refusal
from edge.protocol.identity import SessionIdentity
from roaming.accounts.models import ClientAccount
from roaming.instances import services as instances
from roaming.instances.models import Instance
from roaming.sessions import lockout, tokens
from roaming.sessions import services as sessions
from roaming.sessions.leases import LeaseExhausted, lease
from roaming.sessions.models import UserSession


class LogonRefused(Refusal):
    """Refusal of a log-on, one and the same for a wrong instance, user name or password."""

    status = 401
    code = "LogonRefused"

    def __init__(self) -> None:
        super().__init__("The instance ID, the user name or the password is wrong.")


class AccountDisabled(Forbidden):
    code = "AccountDisabled"

    def __init__(self) -> None:
        super().__init__("This client account is disabled. Ask your administrator.")


class InstanceInactive(Forbidden):
    code = "InstanceInactive"

    def __init__(self) -> None:
        super().__init__("This instance is not available at present. Ask your administrator.")


@dataclass(frozen=True)
class Caller:
    """Caller of a log-on. ``gateway``: the id of the gateway that asks for its client, if a gateway asks."""

    public_address: str
    gateway: str | None
    kind: str


def logon(
    *,
    instance_id: str,
    username: str,
    password: str,
    public_address: str,
    gateway_id: str | None,
    kind: str,
) -> tuple[str, UserSession]:
    """Open a session, or extend the one that this gateway holds for the account already; return (token, session).

    Raises ``LogonRefused`` (401), ``LockedOut`` or ``TooManyLogons`` (429), ``Slowed`` or ``HashingBusy`` (503); after
    the right password ``AccountDisabled`` or ``InstanceInactive`` (403) or ``LeaseExhausted`` (503). Never call
    ``logon`` within a transaction: none may be held while the password is hashed, and failures must be counted
    whatever happens.
    """
    account = ClientAccount.objects.filter(instance_id=instance_id, username_key=username.lower()).first()
    lockout.share(account)
    guess = lockout.Guess.of(instance_id, username, public_address, account)
    lockout.check(guess)
    known = _was_here(account, public_address)
    lockout.take_turn(guess, known=known)
    with hashing.seat(known=known):
        # Whoever waited may be locked out by now: so many guesses at once are no more guesses than one after another.
        lockout.check(guess)
        if not _password_is_right(account, password) or account is None:
            lockout.failed(guess, password)
            raise LogonRefused
    lockout.succeeded(guess)
    lockout.logons.count(account.pk)
    caller = Caller(public_address=public_address, gateway=gateway_id, kind=kind)
    try:
        session = _open(account, caller)
    except LeaseExhausted:
        # The worker may not have swept yet: addresses of expired sessions are free.
        if not sessions.sessions_expire():
            raise
        session = _open(account, caller)
    return tokens.sign(session), session


def renew(token: str) -> tuple[str, UserSession]:
    """Extend a live session; return (new token, session). Raises ``SessionEnded`` or ``TokenInvalid`` (401)."""
    session = _session_of(tokens.read(token))
    now = timezone.now()
    alive = UserSession.objects.filter(
        pk=session.pk, ended_at=None, expires_at__gt=now, account__enabled=True, instance__status="active"
    )
    changes = {"renewed_at": now, "last_active_at": now, "expires_at": _expiry(now)}
    if not UserSession.objects.filter(pk__in=alive.values("pk")).update(**changes):
        raise tokens.SessionEnded(_why(session))
    session.renewed_at, session.expires_at = now, changes["expires_at"]
    return tokens.sign(session), session


@transaction.atomic
def logout(token: str) -> None:
    """End the token's session. Raises ``SessionEnded`` for an ended session, ``TokenInvalid`` (401)."""
    session = _session_of(tokens.read(token))
    if not sessions.end_ahead(UserSession.objects.filter(pk=session.pk), UserSession.End.LOGGED_OFF):
        raise tokens.SessionEnded(_why(session))


def _was_here(account: ClientAccount | None, address: str) -> bool:
    """Tell whether an account has logged on from an address before: others' wrong passwords slow it no more there."""
    if account is None or not address:
        return False
    return UserSession.objects.filter(account=account, public_address=address).exists()


def _password_is_right(account: ClientAccount | None, password: str) -> bool:
    """Check a password at the cost of one hash, whether the account exists or not, so that the time tells nothing."""
    if account is None:
        make_password(password)
        return False

    def upgrade(raw: str) -> None:
        # All copies share one hash and keep sharing one; a password reset meanwhile wins.
        copies = ClientAccount.objects.filter(origin=account.origin, password=account.password)
        account.password = make_password(raw)
        copies.update(password=account.password)

    return check_password(password, account.password, setter=upgrade)


@transaction.atomic
def _open(checked: ClientAccount, caller: Caller) -> UserSession:
    """Return the session for an account whose password was right a moment ago.

    The locks order a log-on against every change that ends sessions: either the log-on sees the change, or the change
    sees the new session.
    """
    try:
        instance = instances.lock(checked.instance_id, deleting=True)
    except NotFound as error:
        raise LogonRefused from error
    account = ClientAccount.objects.select_for_update().filter(pk=checked.pk).first()
    if account is None or account.password != checked.password:
        raise LogonRefused
    if not account.enabled:
        raise AccountDisabled
    if not instance.is_active:
        raise InstanceInactive
    now = timezone.now()
    session = _held(account, caller, now)
    if session is None:
        _make_room(account, now)
        session = UserSession(
            account=account,
            username=account.username,
            instance=instance,
            client_ip=lease(instance, account),
            bandwidth_kbps=account.bandwidth_kbps,
            created_at=now,
        )
    else:
        session.renewed_at = now
    session.public_address = caller.public_address
    session.gateway_id = caller.gateway
    session.kind = caller.kind
    session.last_active_at = now
    session.expires_at = _expiry(now)
    session.save()
    ClientAccount.objects.filter(pk=account.pk).update(last_logon_at=now)
    return session


def _held(account: ClientAccount, caller: Caller, now: datetime) -> UserSession | None:
    """Return the live session that this log-on continues, if any.

    Stock proxy clients log on again whenever the gateway has forgotten them. An account with a static IP can have one
    session only, wherever it logs on.
    """
    same_gateway = Q(kind=UserSession.Kind.PROXY, gateway=caller.gateway)
    continues = Q(pk__in=[]) if caller.kind != UserSession.Kind.PROXY else same_gateway
    if account.static_ip:
        continues |= Q(client_ip=account.static_ip)
    live = UserSession.objects.filter(continues, account=account, ended_at=None).select_for_update()
    session = live.order_by("-created_at").first()
    if session is not None and session.expires_at <= now:
        sessions.end(UserSession.objects.filter(pk=session.pk), UserSession.End.EXPIRED)
        return None
    return session


def _make_room(account: ClientAccount, now: datetime) -> None:
    """End the sessions used least lately beyond those that an account may have, one more being about to begin.

    Else one account could take every client IP of its instance.
    """
    live = UserSession.objects.filter(account=account, ended_at=None, expires_at__gt=now)
    by_use = live.order_by(F("last_active_at").desc(nulls_last=True), "-created_at", "pk")
    too_many = list(by_use.values_list("pk", flat=True)[settings.SESSIONS_PER_ACCOUNT - 1 :])
    sessions.end_ahead(UserSession.objects.filter(pk__in=too_many), UserSession.End.REPLACED)


def _expiry(now: datetime) -> datetime:
    """Return when a session that was renewed now expires: in whole seconds, as in the token."""
    lifetime: timedelta = settings.SESSION_TOKEN_LIFETIME
    return (now + lifetime).replace(microsecond=0)


def _session_of(identity: SessionIdentity) -> UserSession:
    found = (
        UserSession.objects.select_related("account", "instance__region").filter(pk=identity.session).first()
    )
    if found is None:
        raise tokens.SessionEnded("This session is not known any more. Log on again.")
    return found


def _why(session: UserSession) -> str:
    session.refresh_from_db()
    if session.ended_at is not None:
        reason = UserSession.End(session.end_reason).label.lower()
    elif session.expires_at <= timezone.now():
        reason = "expired"
    elif session.instance.status != Instance.Status.ACTIVE:
        reason = "instance not available"
    else:
        reason = "account disabled"
    return f"The session has ended: {reason}. Log on again."
