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
    server_disable,
    server_enable,
    server_remove,
)
from connectors.services.groups import group_create, group_delete, group_update
from connectors.services.policies import (
    policy_create,
    policy_delete,
    policy_disable,
    policy_enable,
    policy_update,
)

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
    "group_create",
    "group_delete",
    "group_update",
    "policy_create",
    "policy_delete",
    "policy_disable",
    "policy_enable",
    "policy_update",
    "server_code_create",
    "server_code_revoke",
    "server_disable",
    "server_enable",
    "server_remove",
]
