"""Leases of client IPs: which address a new session gets."""

import ipaddress
import secrets
from collections.abc import Iterator

from console.core.errors import Refusal
from roaming.accounts.models import ClientAccount
from roaming.instances.models import Instance
from roaming.networks import holds, usable_range
from roaming.sessions.models import UserSession

# Addresses looked at in the first step; each further step looks at eight times as many.
FIRST_STEP = 256


class LeaseExhausted(Refusal):
    status = 503
    code = "LeaseExhausted"


def lease(instance: Instance, account: ClientAccount) -> str:
    """Return a free client IP for ``account``: its static IP, or an address of the instance's blocks that nobody has.

    The caller holds the instance's lock. Raises ``LeaseExhausted``.
    """
    blocks = instance.blocks()
    if account.static_ip:
        holder = UserSession.objects.filter(
            instance=instance, client_ip=account.static_ip, ended_at=None
        ).first()
        if holder is not None or not holds(blocks, account.static_ip):
            raise LeaseExhausted(
                f"The static client IP {account.static_ip} is not free at present. Try again later."
            )
        return account.static_ip
    for first, last in map(usable_range, blocks):
        for low, high in _steps(first, last):
            taken = _taken(instance, low, high)
            if len(taken) <= high - low:
                return str(ipaddress.IPv4Address(_free(low, high, taken)))
    raise LeaseExhausted("Every client IP of the instance is in use. Try again later.")


def _steps(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Cut a range into steps of growing size, so that a /16 costs one small query when empty and few when full.

    Steps start at a random place: an address that has just become free is seldom given to somebody else at once.
    """
    start = first + secrets.randbelow(last - first + 1)
    for low, high in ((start, last), (first, start - 1)):
        size = FIRST_STEP
        while low <= high:
            yield low, min(high, low + size - 1)
            low, size = low + size, size * 8


def _taken(instance: Instance, low: int, high: int) -> set[int]:
    live = UserSession.objects.filter(instance=instance, ended_at=None, client_ip__range=(low, high))
    fixed = ClientAccount.objects.filter(instance=instance, static_ip__range=(low, high))
    addresses = live.order_by().values_list("client_ip").union(fixed.order_by().values_list("static_ip"))
    return {int(ipaddress.IPv4Address(address)) for (address,) in addresses}


def _free(low: int, high: int, taken: set[int]) -> int:
    return next(number for number in range(low, high + 1) if number not in taken)
