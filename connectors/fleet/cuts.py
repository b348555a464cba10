"""Cut-overs of connectors as pages show them: which gateways confirmed, how fast, and who is waited for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from connectors.fleet.models.connectors import Connector
from console.models import Cutover, CutoverConfirmation

VERB = "connector.disable"
# Time for which a list goes on showing a cut-over; the details show the last one for good.
RECENT = timedelta(minutes=5)


@dataclass(frozen=True)
class Waiting:
    """Gateway that has not confirmed a cut-over; one that is not ``heard`` cannot be expected to."""

    name: str
    heard: bool
    heard_at: datetime | None


@dataclass
class Cut:
    """Progress of a cut-over. ``milliseconds``: from the request to the last confirmation so far."""

    target: str
    requested_at: datetime
    gateways: int = 0
    confirmed: int = 0
    milliseconds: int | None = None
    flows: int | None = None
    waiting: list[Waiting] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.confirmed == self.gateways

    @property
    def may_change(self) -> bool:
        """Tell whether a look in a second may show more: a gateway that is heard of has not answered yet."""
        return any(gateway.heard for gateway in self.waiting)


def recent_cuts(connectors: Iterable[str]) -> dict[str, Cut]:
    """Map each connector to the newest cut-over by which it was switched off in the last minutes. Run one query."""
    recent = _confirmations().filter(cutover__requested_at__gt=timezone.now() - RECENT)
    return _newest(recent.filter(cutover__target__in=list(connectors), cutover__reason__startswith=VERB))


def last_cut(connector: Connector) -> Cut | None:
    """Return the newest such cut-over of a connector however long ago, None when there was none. Run two queries."""
    cutover = Cutover.objects.filter(target=connector.pk, reason__startswith=VERB).first()
    if cutover is None:
        return None
    cuts = _newest(_confirmations().filter(cutover=cutover))
    return cuts.get(connector.pk, Cut(connector.pk, cutover.requested_at))


def _confirmations() -> QuerySet[CutoverConfirmation]:
    return CutoverConfirmation.objects.select_related("cutover", "gateway")


def _newest(confirmations: QuerySet[CutoverConfirmation]) -> dict[str, Cut]:
    """Map each target to its newest cut-over, added up from the confirmations; those of older ones are left out."""
    cuts: dict[str, Cut] = {}
    newest: dict[str, int] = {}
    for confirmation in confirmations.order_by("-cutover_id", "gateway__name"):
        cutover = confirmation.cutover
        if newest.setdefault(cutover.target, cutover.pk) == cutover.pk:
            cut = cuts.setdefault(cutover.target, Cut(cutover.target, cutover.requested_at))
            _count_in(cut, confirmation)
    return cuts


def _count_in(cut: Cut, confirmation: CutoverConfirmation) -> None:
    cut.gateways += 1
    gateway = confirmation.gateway
    if confirmation.confirmed_at is None:
        cut.waiting.append(Waiting(gateway.name, gateway.is_heard, gateway.heard_at))
        return
    took = round((confirmation.confirmed_at - cut.requested_at).total_seconds() * 1000)
    cut.confirmed += 1
    cut.milliseconds = max(cut.milliseconds or 0, took)
    if confirmation.flows_cut is not None:
        cut.flows = (cut.flows or 0) + confirmation.flows_cut
