from connectors.models.applications import Application, ApplicationAddress, ApplicationPorts
from connectors.models.connectors import Connector, Server, Tunnel
from connectors.models.measurements import Flow, Sample
from connectors.models.policies import Policy, UserGroup

__all__ = [
    "Application",
    "ApplicationAddress",
    "ApplicationPorts",
    "Connector",
    "Flow",
    "Policy",
    "Sample",
    "Server",
    "Tunnel",
    "UserGroup",
]
