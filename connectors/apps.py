from datetime import timedelta

from django.apps import AppConfig

from console import ports
from console.ports import Entry, Job


class ConnectorsConfig(AppConfig):
    name = "connectors"
    verbose_name = "Private access"

    def ready(self) -> None:
        from connectors import edge_api, metrics, overview, snapshot
        from connectors.alerts import evaluation
        from connectors.alerts import selectors as alert_selectors
        from connectors.fleet import enrollment as server_enrollment
        from connectors.fleet import health
        from connectors.fleet.services import servers
        from connectors.fleet.services.license import license_expire
        from connectors.fleet.services.servers import drains_finish
        from connectors.fleet.services.tunnels import tunnels_seen
        from connectors.fleet.services.upgrades import SERVERS, upgrades_end_after_restore
        from connectors.policies import dependants, destinations
        from connectors.policies.services.groups import account_written
        from connectors.telemetry import comparison, store
        from console.edge_api import api
        from roaming.accounts import dependants as account_dependants
        from roaming.connecting import destinations as shown

        api.add_router("", edge_api.router)
        ports.gateway_faults.add(health.without_tunnel)
        ports.tunnels_reported.add(tunnels_seen)
        ports.machine_kinds.add("server", server_enrollment.KIND)
        ports.machine_names.add("server", servers.name_of)
        ports.snapshot_parts.add(snapshot.part)
        ports.cards.add(overview.cards)
        ports.restored.add(upgrades_end_after_restore)
        ports.charts.add(overview.CHART)
        ports.cards.add(alert_selectors.cards)
        ports.rows_written.add(account_written)
        ports.metrics.add(metrics.connectors)
        ports.metrics.add(metrics.servers)
        ports.metrics.add(metrics.telemetry)
        ports.places.update(connector="connectors:details", application="connectors:applications")
        ports.places.update(policy="connectors:policies", usergroup="connectors:groups")
        account_dependants.contribute(dependants.naming)
        shown.contribute(destinations.hosts)
        ports.jobs.add("notice the license's end", Job(timedelta(minutes=1), license_expire))
        ports.jobs.add("switch off drained servers", Job(timedelta(seconds=2), drains_finish))
        ports.jobs.add("upgrade servers", Job(timedelta(seconds=1), SERVERS.advance))
        ports.jobs.add("evaluate alerts", Job(evaluation.EVERY, evaluation.evaluate, urgent=True))
        ports.jobs.add("forget old alerts", Job(timedelta(hours=1), evaluation.forget_old))
        ports.jobs.add("roll samples up", Job(timedelta(seconds=20), store.roll_up))
        ports.jobs.add("compare servers' figures", Job(timedelta(minutes=1), comparison.compare))
        ports.jobs.add("forget old samples", Job(timedelta(minutes=10), store.prune))
        for order, (label, url_name) in enumerate(
            (
                ("Network Settings", "connectors:list"),
                ("Forwarding Policies", "connectors:policies"),
                ("Application Management", "connectors:applications"),
                ("User Groups", "connectors:groups"),
                ("Access Check", "connectors:access_check"),
            )
        ):
            ports.navigation.add(url_name, Entry(ports.PRIVATE_ACCESS, label, order))
        ports.navigation.add("connectors:alerts", Entry(ports.OPERATIONS, "Alerts", 5))
