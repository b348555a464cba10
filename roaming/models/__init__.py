from roaming.models.accounts import ClientAccount
from roaming.models.ccns import CCN, CloudNetwork
from roaming.models.imports import AccountImport
from roaming.models.instances import Instance, InstanceCidr
from roaming.models.sessions import LogonFailures, UserSession

__all__ = [
    "CCN",
    "AccountImport",
    "ClientAccount",
    "CloudNetwork",
    "Instance",
    "InstanceCidr",
    "LogonFailures",
    "UserSession",
]
