from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        from console import checks  # noqa: F401 (importing registers the check)
        from console.edge_api import api
        from console.edge_api.routes import router

        api.add_router("", router)
