"""Writes to connectors, their servers, codes, upgrades and the license; every door calls these, so rules hold once."""

from connectors.fleet.services.codes import server_code_create, server_code_revoke
from connectors.fleet.services.connectors import (
    connector_create,
    connector_delete,
    connector_disable,
    connector_enable,
    connector_rename,
    connector_upgrade_window,
)
from connectors.fleet.services.license import license_expire, license_update
from connectors.fleet.services.servers import (
    drains_finish,
    server_disable,
    server_drain,
    server_enable,
    server_remove,
)
from connectors.fleet.services.upgrades import upgrade_start

__all__ = [
    "connector_create",
    "connector_delete",
    "connector_disable",
    "connector_enable",
    "connector_rename",
    "connector_upgrade_window",
    "drains_finish",
    "license_expire",
    "license_update",
    "server_code_create",
    "server_code_revoke",
    "server_disable",
    "server_drain",
    "server_enable",
    "server_remove",
    "upgrade_start",
]
