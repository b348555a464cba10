from roaming.models.accounts import ClientAccount
from roaming.models.ccns import CCN, CloudNetwork
from roaming.models.flows import Flow
from roaming.models.imports import AccountImport
from roaming.models.instances import Instance, InstanceCidr
from roaming.models.sessions import LogonFailures, UserSession
from roaming.models.usage import Usage

__all__ = [
    "CCN",
    "AccountImport",
    "ClientAccount",
    "CloudNetwork",
    "Flow",
    "Instance",
    "InstanceCidr",
    "LogonFailures",
    "Usage",
    "UserSession",
]
