from datetime import timedelta

from django.apps import AppConfig

from console import ports
from console.ports import Entry, Job, TaskKind


class RoamingConfig(AppConfig):
    name = "roaming"
    verbose_name = "Smart Access Gateway APP"

    def ready(self) -> None:
        from django.urls import register_converter

        from console.edge_api import api
        from roaming.accounts import bulk_roaming
        from roaming.converters import ProductId
        from roaming.edge_api import router
        from roaming.imports import services as imports
        from roaming.instances import deletion
        from roaming.overview import cards
        from roaming.sessions import lockout
        from roaming.sessions import services as sessions
        from roaming.snapshot import part
        from roaming.usage import buckets as usage
        from roaming.usage import flows

        register_converter(ProductId, "sag_id")
        api.add_router("", router)
        ports.snapshot_parts.add(part)
        ports.cards.add(cards)
        ports.restored.add(sessions.sessions_end_after_restore)
        ports.jobs.add("end expired sessions", Job(timedelta(seconds=10), sessions.sessions_expire))
        ports.jobs.add("forget log-on failures", Job(timedelta(hours=1), lockout.forget_old))
        ports.jobs.add("forget old usage", Job(timedelta(minutes=10), usage.usage_forget))
        ports.jobs.add("forget old flows", Job(timedelta(hours=1), flows.flows_forget))
        ports.jobs.add("forget uploads", Job(timedelta(hours=1), imports.imports_forget))
        ports.places.update(
            instance="roaming:instance", ccn="roaming:ccn", clientaccount="roaming:account_edit"
        )
        ports.task_kinds.add(imports.KIND, TaskKind(imports.apply, imports.prepare, imports.url))
        ports.task_kinds.add(bulk_roaming.KIND, TaskKind(bulk_roaming.apply, url=bulk_roaming.url))
        ports.task_kinds.add(deletion.KIND, TaskKind(deletion.apply, url=deletion.url))
        beside = ("../accounts/", "../sessions/", "../imports/")
        ports.navigation.add("roaming:instances", Entry(ports.SAG, "Instances", 10, also=beside))
        ports.navigation.add("roaming:ccns", Entry(ports.SAG, "CCN", 20))
        ports.navigation.add("roaming:lock_outs", Entry(ports.SAG, "Lock-outs", 30))
