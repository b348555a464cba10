"""Writes to applications, whichever door they come through."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from connectors.applications.addresses import (
    MOST_ADDRESSES,
    AddressInvalid,
    Ports,
    checked_ports,
    normalised_address,
    normalised_origin,
    shown_ports,
)
from connectors.applications.models import Application, ApplicationAddress, ApplicationPorts
from connectors.applications.tags import checked_tags, forget_unused, tags_named
from console.core import audit
from console.core.audit import Actor
from console.core.errors import Conflict, Invalid
from console.core.saving import changed, listed, save, sides
from console.core.switching import switch
from console.machines import config

UNCHANGED: Any = object()


def _addresses(texts: Iterable[str], *, allow_local: bool) -> list[str]:
    try:
        found = [normalised_address(text, allow_local=allow_local) for text in texts]
    except AddressInvalid as error:
        raise Invalid(str(error), field="addresses") from error
    if not found:
        raise Invalid("Give at least one address.", field="addresses")
    if len(set(found)) != len(found):
        twice = next(address for address in found if found.count(address) > 1)
        raise Invalid(f"“{twice}” was given twice.", field="addresses")
    if len(found) > MOST_ADDRESSES:
        raise Invalid(
            f"An application has at most {MOST_ADDRESSES:,} addresses; {len(found):,} were given.",
            field="addresses",
        )
    return found


def _ports(ranges: Sequence[Ports]) -> list[Ports]:
    if not ranges:
        raise Invalid("Give at least one port.", field="ports")
    try:
        return checked_ports([(begin, end) for begin, end in ranges])
    except AddressInvalid as error:
        raise Invalid(str(error), field="ports") from error


def _origin(text: str | None) -> str | None:
    if not text or not text.strip():
        return None
    try:
        return normalised_origin(text)
    except AddressInvalid as error:
        raise Invalid(str(error), field="origin") from error


def _write_addresses(application: Application, wanted: list[str]) -> None:
    application.addresses.exclude(address__in=wanted).delete()
    present = set(application.addresses.values_list("address", flat=True))
    new = [
        ApplicationAddress(application=application, address=address)
        for address in wanted
        if address not in present
    ]
    ApplicationAddress.objects.bulk_create(new)


def _write_ports(application: Application, wanted: list[Ports]) -> None:
    application.ports.all().delete()
    ApplicationPorts.objects.bulk_create(
        ApplicationPorts(application=application, begin=begin, end=end) for begin, end in wanted
    )


@transaction.atomic
def application_create(
    *,
    name: str,
    addresses: Iterable[str],
    ports: Sequence[Ports],
    protocol: str = Application.Protocol.TCP,
    description: str = "",
    origin: str | None = None,
    tags: Iterable[str] = (),
    enabled: bool = True,
    actor: Actor,
) -> Application:
    """Add an application, which nobody reaches until a forwarding policy says so.

    ``ports``: ranges as (begin, end); ``tags``: their names. Raise ``Invalid`` naming the field.
    """
    found_origin = _origin(origin)
    found_addresses = _addresses(addresses, allow_local=bool(found_origin))
    found_ports = _ports(ports)
    found_tags = checked_tags(tags)
    application = save(
        Application(
            name=name.strip(),
            description=description.strip(),
            protocol=protocol,
            origin=found_origin,
            enabled=enabled,
        )
    )
    _write_addresses(application, found_addresses)
    _write_ports(application, found_ports)
    application.tags.set(tags_named(found_tags))
    after: dict[str, Any] = {
        "name": application.name,
        "addresses": found_addresses,
        "ports": shown_ports(found_ports),
    }
    after |= {"protocol": protocol, "origin": found_origin, "enabled": enabled, "tags": found_tags}
    audit.record(actor=actor, verb="application.create", target=application, after=after)
    config.publish(servers=True)
    return application


@transaction.atomic
def application_update(
    *,
    application: Application,
    actor: Actor,
    name: str = UNCHANGED,
    addresses: Iterable[str] = UNCHANGED,
    ports: Sequence[Ports] = UNCHANGED,
    protocol: str = UNCHANGED,
    description: str = UNCHANGED,
    origin: str | None = UNCHANGED,
    tags: Iterable[str] = UNCHANGED,
) -> Application:
    """Change what is given, and cut flows that are no longer allowed. Raise ``Invalid`` naming the field."""
    # Lock the row: two editors must not mix their addresses and ports.
    application = Application.objects.select_for_update().get(pk=application.pk)
    old_addresses = list(application.addresses.values_list("address", flat=True))
    old_ports = list(application.ports.values_list("begin", "end"))
    given = {"name": name, "description": description, "protocol": protocol}
    values: dict[str, Any] = {
        field: value.strip() if field != "protocol" else value
        for field, value in given.items()
        if value is not UNCHANGED
    }
    if origin is not UNCHANGED:
        values["origin"] = _origin(origin)
    differences = changed(application, values)
    new_addresses = _addresses(
        old_addresses if addresses is UNCHANGED else addresses, allow_local=bool(application.origin)
    )
    new_ports = old_ports if ports is UNCHANGED else _ports(ports)
    if differences:
        save(application, *differences)
    if set(new_addresses) != set(old_addresses):
        differences["addresses"] = (old_addresses, new_addresses)
        _write_addresses(application, new_addresses)
    if new_ports != old_ports:
        differences["ports"] = (shown_ports(old_ports), shown_ports(new_ports))
        _write_ports(application, new_ports)
    if tags is not UNCHANGED:
        differences |= _write_tags(application, checked_tags(tags))
    if not differences:
        return application
    audit.record(actor=actor, verb="application.update", target=application, **sides(differences))
    narrowed = (
        not set(old_addresses) <= set(new_addresses)
        or ("ports" in differences and not _covers(new_ports, old_ports))
        or "protocol" in differences
        or ("tags" in differences and not set(differences["tags"][0]) <= set(differences["tags"][1]))
    )
    cut = f"application.update {application.name}" if narrowed else None
    config.publish(servers=True, cut=cut, target=application.pk)
    return application


def _write_tags(application: Application, wanted: list[str]) -> dict[str, tuple[Any, Any]]:
    before = list(application.tags.values_list("name", flat=True))
    if set(before) == set(wanted):
        return {}
    application.tags.set(tags_named(wanted))
    forget_unused(set(before) - set(wanted))
    return {"tags": (before, wanted)}


def _covers(wide: list[Ports], narrow: list[Ports]) -> bool:
    """Tell whether every port of ``narrow`` is in ``wide``; ranges that touch count as one."""
    joined: list[Ports] = []
    for begin, end in wide:
        if joined and begin == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return all(any(low <= begin and end <= high for low, high in joined) for begin, end in narrow)


@transaction.atomic
def application_switch(*, application: Application, enabled: bool, actor: Actor) -> Application:
    """Switch an application on, or off, which cuts open flows to it. Raise ``Conflict`` when it is so already."""
    verb = switch(application, kind="application", enabled=enabled, actor=actor)
    cut = None if enabled else f"{verb} {application.name}"
    config.publish(servers=True, cut=cut, target=application.pk)
    return application


@transaction.atomic
def application_delete(*, application: Application, actor: Actor) -> None:
    """Remove an application. Raise ``Conflict`` while policies name it: they would silently allow less."""
    policies = list(application.policies.values_list("name", flat=True))
    if policies:
        raise Conflict(
            f"{application.name} cannot be deleted while forwarding policies name it: {listed(policies)}. "
            "Take the application out of these policies first.",
            code="ApplicationInUse",
        )
    before = {
        "name": application.name,
        "addresses": list(application.addresses.values_list("address", flat=True)),
        "ports": shown_ports(list(application.ports.values_list("begin", "end"))),
    }
    audit.record(actor=actor, verb="application.delete", target=application, before=before)
    config.publish(servers=True, cut=f"application.delete {application.name}", target=application.pk)
    tags = set(application.tags.values_list("name", flat=True))
    Application.objects.filter(pk=application.pk).delete()
    forget_unused(tags)
