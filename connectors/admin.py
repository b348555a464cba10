"""Django admin for private access: Django finds this file, whose imports let each feature register its models."""

from connectors.alerts import admin as alerts
from connectors.applications import admin as applications
from connectors.fleet import admin as fleet
from connectors.policies import admin as policies
from connectors.telemetry import admin as telemetry

__all__ = ["alerts", "applications", "fleet", "policies", "telemetry"]
