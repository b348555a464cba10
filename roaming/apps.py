from datetime import timedelta

from django.apps import AppConfig


class RoamingConfig(AppConfig):
    name = "roaming"
    verbose_name = "Smart Access Gateway APP"

    def ready(self) -> None:
        from console import jobs, navigation, overview, snapshot
        from console.edge_api import api
        from roaming.edge_api import router
        from roaming.overview import cards
        from roaming.services import bulk_roaming, deletion, flows, imports, lockout, sessions, usage
        from roaming.snapshot import part

        api.add_router("", router)
        snapshot.contribute(part)
        overview.contribute(cards)
        jobs.register("end expired sessions", every=timedelta(seconds=10), run=sessions.sessions_expire)
        jobs.register("forget log-on failures", every=timedelta(hours=1), run=lockout.forget_old)
        jobs.register("forget old usage", every=timedelta(minutes=10), run=usage.usage_forget)
        jobs.register("forget old flows", every=timedelta(hours=1), run=flows.flows_forget)
        imports.register()
        bulk_roaming.register()
        deletion.register()
        jobs.register("forget uploads", every=timedelta(hours=1), run=imports.imports_forget)
        beside = ("../accounts/", "../sessions/", "../imports/")
        navigation.register(navigation.SAG, "Instances", "roaming:instances", order=10, also=beside)
        navigation.register(navigation.SAG, "CCN", "roaming:ccns", order=20)
