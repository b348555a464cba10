from connectors.models.alerts import Alert, AlertRule, AlertSettings, AlertSilence
from connectors.models.applications import Application, ApplicationAddress, ApplicationPorts, Tag
from connectors.models.connectors import Connector, Server, Tunnel
from connectors.models.groups import GroupRule, UserGroup
from connectors.models.license import License
from connectors.models.measurements import FiveMinutes, Hour, Latest, Sample, StaleRollup
from connectors.models.policies import Policy
from connectors.models.upgrades import ServerUpgrade, Upgrade

__all__ = [
    "Alert",
    "AlertRule",
    "AlertSettings",
    "AlertSilence",
    "Application",
    "ApplicationAddress",
    "ApplicationPorts",
    "Connector",
    "FiveMinutes",
    "GroupRule",
    "Hour",
    "Latest",
    "License",
    "Policy",
    "Sample",
    "Server",
    "ServerUpgrade",
    "StaleRollup",
    "Tag",
    "Tunnel",
    "Upgrade",
    "UserGroup",
]
