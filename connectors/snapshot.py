"""Part of a gateway's configuration that this app adds: connectors, applications, groups, policies."""

from collections import defaultdict
from typing import Any

from connectors.applications.models import Application, ApplicationAddress, ApplicationPorts
from connectors.fleet import licensing
from connectors.fleet.models.connectors import Connector, Server
from connectors.policies import membership
from connectors.policies.models.groups import UserGroup
from connectors.policies.models.policies import Policy
from console.machines.snapshot import Part
from console.models import Gateway
from edge.protocol import configuration as wire


def part(gateway: Gateway) -> Part:
    """Build the part, the same for every gateway, in a fixed number of queries, however large the world is."""
    found = policies()
    return {
        "connectors": _connectors(),
        "applications": _applications(),
        "groups": groups({group for policy in found for group in policy.groups}),
        "policies": found,
    }


def _connectors() -> dict[str, wire.Connector]:
    licensed = licensing.is_valid()
    servers: dict[str, dict[str, wire.ServerState]] = defaultdict(dict)
    for server in Server.objects.order_by("pk").only("connector_id", "enabled", "drain_until"):
        servers[server.connector_id][server.pk] = server.state
    return {
        connector: wire.Connector(
            name=name, enabled=enabled, licensed=licensed, servers=servers.get(connector, {})
        )
        for connector, name, enabled in Connector.objects.order_by("pk").values_list("pk", "name", "enabled")
    }


def _applications() -> dict[str, wire.Application]:
    addresses: dict[str, list[str]] = defaultdict(list)
    ports: dict[str, list[wire.PortRange]] = defaultdict(list)
    enabled_addresses = ApplicationAddress.objects.filter(application__enabled=True).order_by("pk")
    for application, address in enabled_addresses.values_list("application_id", "address"):
        addresses[application].append(address)
    enabled_ports = ApplicationPorts.objects.filter(application__enabled=True).order_by("begin")
    for application, begin, end in enabled_ports.values_list("application_id", "begin", "end"):
        ports[application].append((begin, end))
    enabled = Application.objects.filter(enabled=True).order_by("pk")
    return {
        pk: wire.Application(name=name, addresses=addresses[pk], ports=ports[pk], protocol=protocol)
        for pk, name, protocol in enabled.values_list("pk", "name", "protocol")
    }


def groups(used: set[str]) -> dict[str, list[str]]:
    """Map each group that a policy names to the accounts in it; other groups cannot change a decision."""
    found: dict[str, list[str]] = {group: [] for group in sorted(used)}
    members = UserGroup.accounts.through.objects.filter(usergroup__policies__enabled=True)
    pairs = members.order_by("clientaccount_id").values_list("usergroup_id", "clientaccount_id").distinct()
    for group, account in pairs:
        if group in found:
            found[group].append(account)
    for group, described in membership.of_groups(found).items():
        found[group] = sorted(described.union(found[group]))
    return found


def policies() -> list[wire.Policy]:
    """Return the enabled policies in evaluation order."""
    groups = _pairs(Policy.groups.through, "usergroup_id")
    accounts = _pairs(Policy.accounts.through, "clientaccount_id")
    applications = _pairs(Policy.applications.through, "application_id")
    for policy, tagged in _pairs(Policy.tags.through, "tag__applications").items():
        applications[policy] = tagged
    return [
        wire.Policy(
            id=policy.pk,
            name=policy.name,
            priority=policy.priority,
            users=wire.ALL if policy.all_users else wire.SELECTED,
            groups=groups.get(policy.pk, ()),
            accounts=accounts.get(policy.pk, ()),
            applications=wire.ALL if policy.all_applications else wire.SELECTED,
            application_ids=applications.get(policy.pk, ()),
            connector=policy.connector_id,
        )
        for policy in Policy.objects.filter(enabled=True).order_by("priority", "created_at", "pk")
    ]


def _pairs(through: Any, column: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    rows = through.objects.filter(policy__enabled=True).order_by(column).values_list("policy_id", column)
    for policy, other in rows.distinct():
        if other is not None:  # a tag that no application carries now
            found[policy].append(other)
    return found
