"""Writes to connectors, their servers, upgrades and the license; every door calls these, so rules hold once."""

from connectors.fleet.services.connectors import (
    connector_create,
    connector_delete,
    connector_rename,
    connector_switch,
    connector_upgrade_window,
)
from connectors.fleet.services.license import license_expire, license_update
from connectors.fleet.services.servers import (
    drains_finish,
    server_drain,
    server_remove,
    server_switch,
)
from connectors.fleet.services.upgrades import upgrade_start

__all__ = [
    "connector_create",
    "connector_delete",
    "connector_rename",
    "connector_switch",
    "connector_upgrade_window",
    "drains_finish",
    "license_expire",
    "license_update",
    "server_drain",
    "server_remove",
    "server_switch",
    "upgrade_start",
]
