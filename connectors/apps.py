from django.apps import AppConfig


class ConnectorsConfig(AppConfig):
    name = "connectors"
    verbose_name = "Private access"

    def ready(self) -> None:
        from connectors import edge_api, server_enrollment, snapshot
        from connectors.services.tunnels import tunnels_seen
        from console import enrollment
        from console.edge_api import api, routes
        from console.snapshot import contribute

        api.add_router("", edge_api.router)
        routes.tunnel_listeners.append(tunnels_seen)
        enrollment.KINDS["server"] = server_enrollment.KIND
        contribute(snapshot.part)
