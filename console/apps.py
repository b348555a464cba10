from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        from datetime import timedelta

        from django.db.backends.signals import connection_created

        from console import checks, jobs, logs, own_file  # noqa: F401 (importing registers the check)
        from console.edge_api import api
        from console.edge_api.logs import router as logs_router
        from console.edge_api.routes import router
        from console.push import outbox

        connection_created.connect(own_file.close_to_others)
        api.add_router("", router)
        api.add_router("", logs_router)
        jobs.register("let archives of logs go", every=timedelta(seconds=10), run=logs.exports_age)
        jobs.register("send messages", every=timedelta(seconds=1), run=outbox.sender.turn, urgent=True)
        jobs.register("forget old messages", every=timedelta(hours=1), run=outbox.forget_old)
