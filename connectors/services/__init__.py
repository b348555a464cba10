from connectors.services.applications import (
    application_create,
    application_delete,
    application_disable,
    application_enable,
    application_update,
)
from connectors.services.codes import server_code_create, server_code_revoke
from connectors.services.connectors import (
    connector_create,
    connector_delete,
    connector_disable,
    connector_enable,
    connector_rename,
    connector_upgrade_window,
)
from connectors.services.groups import group_create, group_delete, group_update
from connectors.services.license import license_expire, license_update
from connectors.services.policies import (
    policy_create,
    policy_delete,
    policy_disable,
    policy_enable,
    policy_update,
)
from connectors.services.servers import (
    drains_finish,
    server_disable,
    server_drain,
    server_enable,
    server_remove,
)
from connectors.services.upgrades import upgrade_cancel, upgrade_start, upgrade_told, upgrades_advance

__all__ = [
    "application_create",
    "application_delete",
    "application_disable",
    "application_enable",
    "application_update",
    "connector_create",
    "connector_delete",
    "connector_disable",
    "connector_enable",
    "connector_rename",
    "connector_upgrade_window",
    "drains_finish",
    "group_create",
    "group_delete",
    "group_update",
    "license_expire",
    "license_update",
    "policy_create",
    "policy_delete",
    "policy_disable",
    "policy_enable",
    "policy_update",
    "server_code_create",
    "server_code_revoke",
    "server_disable",
    "server_drain",
    "server_enable",
    "server_remove",
    "upgrade_cancel",
    "upgrade_start",
    "upgrade_told",
    "upgrades_advance",
]
