"""Hosts of applications for the commands of *How to connect*: an account's own, or some of all."""

from connectors.applications.models import ApplicationAddress, ApplicationPorts
from connectors.policies.access_check import World
from roaming.connecting.destinations import Named
from roaming.models import ClientAccount

MOST = 200


def hosts(account: ClientAccount | None) -> list[Named]:
    """Return host names with ports; of no account, the first that enabled applications have."""
    if account is not None:
        return [(address, ports) for address, ports in World(account).rules() if _is_name(address)]
    rows = ApplicationAddress.objects.filter(application__enabled=True).order_by("pk")
    first = list(rows.values_list("application", "address")[:MOST])
    ranges = ApplicationPorts.objects.filter(application__in={application for application, _ in first})
    ports: dict[str, list[tuple[int, int]]] = {}
    for application, begin, end in ranges.order_by("begin").values_list("application", "begin", "end"):
        ports.setdefault(application, []).append((begin, end))
    return [(address, ports.get(application, ())) for application, address in first if _is_name(address)]


def _is_name(address: str) -> bool:
    """Tell whether an address is one host by its name."""
    return "*" not in address and "/" not in address and ":" not in address and not address[-1].isdigit()
