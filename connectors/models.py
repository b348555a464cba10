from connectors.alerts.models import Alert, AlertRule, AlertSettings, AlertSilence
from connectors.applications.models import Application, ApplicationAddress, ApplicationPorts, Tag
from connectors.fleet.models.connectors import Connector, Server, Tunnel
from connectors.fleet.models.license import License
from connectors.fleet.models.upgrades import ServerUpgrade, Upgrade
from connectors.policies.models.groups import GroupRule, UserGroup
from connectors.policies.models.policies import Policy
from connectors.telemetry.models import (
    Comparison,
    Disagreement,
    FiveMinutes,
    Hour,
    Latest,
    Sample,
    StaleRollup,
)

__all__ = [
    "Alert",
    "AlertRule",
    "AlertSettings",
    "AlertSilence",
    "Application",
    "ApplicationAddress",
    "ApplicationPorts",
    "Comparison",
    "Connector",
    "Disagreement",
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
