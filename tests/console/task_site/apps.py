from django.apps import AppConfig


class TaskSite(AppConfig):
    name = "tests.console.task_site"
    label = "task_site"

    def ready(self) -> None:
        from tests.console.task_site import kind

        kind.register()
