from datetime import timedelta

from django.apps import AppConfig


class ConnectorsConfig(AppConfig):
    name = "connectors"
    verbose_name = "Private access"

    def ready(self) -> None:
        from connectors import dependants, edge_api, overview, server_enrollment, snapshot
        from connectors.alerts import evaluation
        from connectors.alerts import selectors as alert_selectors
        from connectors.services import servers
        from connectors.services.groups import account_written
        from connectors.services.license import license_expire
        from connectors.services.servers import drains_finish
        from connectors.services.tunnels import tunnels_seen
        from connectors.services.upgrades import upgrades_advance
        from connectors.telemetry import store
        from console import enrollment, jobs, logs, navigation, saving
        from console import overview as console_overview
        from console.edge_api import api, routes
        from console.snapshot import contribute
        from roaming import dependants as account_dependants

        api.add_router("", edge_api.router)
        routes.tunnel_listeners.append(tunnels_seen)
        enrollment.KINDS["server"] = server_enrollment.KIND
        logs.names["server"] = servers.name_of
        contribute(snapshot.part)
        console_overview.contribute(overview.cards)
        console_overview.charts.append(overview.CHART)
        console_overview.contribute(alert_selectors.cards)
        saving.listeners.append(account_written)
        account_dependants.contribute(dependants.naming)
        jobs.register("notice the license's end", every=timedelta(minutes=1), run=license_expire)
        jobs.register("switch off drained servers", every=timedelta(seconds=2), run=drains_finish)
        jobs.register("upgrade servers", every=timedelta(seconds=1), run=upgrades_advance)
        jobs.register("evaluate alerts", every=evaluation.EVERY, run=evaluation.evaluate, urgent=True)
        jobs.register("forget old alerts", every=timedelta(hours=1), run=evaluation.forget_old)
        jobs.register("roll samples up", every=timedelta(seconds=20), run=store.roll_up)
        jobs.register("forget old samples", every=timedelta(minutes=10), run=store.prune)
        for order, (label, url_name) in enumerate(
            (
                ("Network Settings", "connectors:list"),
                ("Forwarding Policies", "connectors:policies"),
                ("Application Management", "connectors:applications"),
                ("User Groups", "connectors:groups"),
                ("Access Check", "connectors:access_check"),
            )
        ):
            navigation.register(navigation.PRIVATE_ACCESS, label, url_name, order)
        navigation.register(navigation.OPERATIONS, "Alerts", "connectors:alerts", 5)
