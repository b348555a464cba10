"""Bandwidth caps: one pair of token buckets in Envoy for each account that has flows.

Envoy's configuration holds *slots*: pairs of buckets (up, down), chosen for a flow by the header that the decision set.
What a slot lets through is a runtime value, so that giving a slot to an account, or its account another cap, is one
call to Envoy's admin socket and touches no flow. A bucket is shared by all flows of its slot, on all threads; when its
value changes, Envoy fills a new bucket for new flows, while flows that are open stay with the one they began with.
Flows that began under a higher cap than the present one are therefore cut (see ``stands`` in `edge.gateway.cutting`).

Which account has which slot is written beside the value, so that an agent that adopts a running Envoy finds it there.
"""

import asyncio
import json
import logging
import zlib
from dataclasses import dataclass
from urllib.parse import urlencode

from edge.envoy.bandwidth import CAP_KEY, OWNER_KEY
from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.gateway.flows import Flows
from edge.gateway.state import GatewayState
from edge.protocol.identity import SessionIdentity

logger = logging.getLogger(__name__)


class NoBandwidth(Exception):
    """Failure to put a cap in force, so that the flow must not begin now; the text is a sentence."""


@dataclass(slots=True)
class _Slot:
    """Slot of one account. ``kbps``: what Envoy was told, unknown after an adoption."""

    number: int
    kbps: int | None


class Bandwidth:
    def __init__(self, envoy: EnvoyProcess, state: GatewayState, flows: Flows, *, slots: int) -> None:
        self._envoy, self._state, self._flows, self._size = envoy, state, flows, slots
        self._slots: dict[str, _Slot] = {}
        self._free: list[int] = []
        self._incarnation: str | None = None
        self._changing = asyncio.Lock()

    async def slot(self, identity: SessionIdentity) -> tuple[int, int] | None:
        """Return ``(slot, kbit/s)`` to hold a new flow of the account by, or None without a cap. Raises NoBandwidth.

        The caller must not wait before the flow is in the list of flows: a slot without a flow is taken back.
        """
        cap = self._state.cap(identity)
        if cap is None:
            return None
        known = self._slots.get(identity.account)
        if known is not None and known.kbps == cap and self._incarnation == self._envoy.incarnation:
            return known.number, cap
        async with self._changing:
            try:
                return await self._put(identity)
            except EnvoyError as error:
                logger.error(
                    "A bandwidth cap could not be put in force; the new flow is refused: %s",
                    error,
                )
                raise NoBandwidth(
                    "The gateway cannot limit this account's bandwidth now, so no new connection of the account is let "
                    "in. Try again in a moment."
                ) from None

    async def _put(self, identity: SessionIdentity) -> tuple[int, int] | None:
        if self._incarnation != self._envoy.incarnation:
            await self._learn()
        cap = self._state.cap(identity)  # the cap may have changed while others were waited for
        if cap is None:
            return None
        slot = self._slots.get(identity.account)
        if slot is None:
            slot = _Slot(self._vacant(), None)
        if slot.kbps != cap:
            values = {CAP_KEY % slot.number: kibibytes(cap), OWNER_KEY % slot.number: identity.account}
            await self._envoy.admin(f"/runtime_modify?{urlencode(values)}", method="POST")
            slot.kbps = cap
        self._slots[identity.account] = slot
        return slot.number, cap

    def _vacant(self) -> int:
        if not self._free:
            # Slots of accounts that have no flows any more are free again.
            busy = self._flows.accounts()
            for account in [account for account in self._slots if account not in busy]:
                self._free.append(self._slots.pop(account).number)
        if not self._free:
            logger.error(
                "All %d bandwidth slots are taken; further accounts with a cap are refused.",
                self._size,
            )
            raise NoBandwidth(
                f"{self._size} accounts with a bandwidth limit use this gateway already, the most it can hold. "
                "Try again later."
            )
        return self._free.pop()

    async def _learn(self) -> None:
        """Read which account has which slot in an Envoy that was just started or adopted."""
        incarnation = self._envoy.incarnation
        entries = json.loads(await self._envoy.admin("/runtime"))["entries"]
        prefix = OWNER_KEY % ""
        owners = {
            entry["final_value"]: int(key.removeprefix(prefix))
            for key, entry in entries.items()
            if key.startswith(prefix)
        }
        self._slots = {account: _Slot(number, None) for account, number in owners.items()}
        self._free = sorted(set(range(self._size)) - set(owners.values()), reverse=True)
        self._incarnation = incarnation


def kibibytes(kbps: int) -> int:
    """Convert kbit/s to the nearest KiB/s, the unit of Envoy's buckets; at least 1 KiB/s, which is 8.2 kbit/s."""
    return max(1, round(kbps * 1000 / 8 / 1024))


def upload(slot: int, kbps: int, account: str) -> str:
    """Return the header for the bucket of what an account's clients send: slot, KiB/s, checksum of the debtor."""
    return f"{slot} {kibibytes(kbps)} {zlib.crc32(account.encode())}"
