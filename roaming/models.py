from roaming.accounts.models import ClientAccount
from roaming.ccns.models import CCN, CloudNetwork
from roaming.imports.models import AccountImport
from roaming.instances.models import Instance, InstanceCidr
from roaming.sessions.models import LogonFailures, UserSession
from roaming.usage.models.flows import Flow
from roaming.usage.models.usage import Usage

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
