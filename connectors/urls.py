"""Map of SASE ▸ Private Access: each feature lists its own addresses."""

from connectors.alerts import urls as alerts
from connectors.applications import urls as applications
from connectors.fleet import urls as fleet
from connectors.policies import urls as policies
from connectors.telemetry import urls as telemetry

app_name = "connectors"

urlpatterns = [
    *fleet.urlpatterns,
    *alerts.urlpatterns,
    *policies.urlpatterns,
    *applications.urlpatterns,
    *telemetry.urlpatterns,
]
