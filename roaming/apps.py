from django.apps import AppConfig


class RoamingConfig(AppConfig):
    name = "roaming"
    verbose_name = "Smart Access Gateway APP"

    def ready(self) -> None:
        from console import navigation, snapshot
        from console.edge_api import api
        from roaming.edge_api import router
        from roaming.snapshot import part

        api.add_router("", router)
        snapshot.contribute(part)
        navigation.register(navigation.SAG, "Instances", "roaming:instances", order=10)
        navigation.register(navigation.SAG, "CCN", "roaming:ccns", order=20)
