from datetime import timedelta

from django.apps import AppConfig

from console import ports
from console.ports import Entry, Job


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from console import checks  # noqa: F401 (importing registers the check)
        from console.auditing import check
        from console.auditing import retention as audit_retention
        from console.core import folding, log_ins, once, own_file, password_links, sessions
        from console.edge_api import api
        from console.edge_api.logs import router as logs_router
        from console.edge_api.routes import router
        from console.machines import (
            config,
            enrollment,
            gateway_upgrades,
            logs,
            metrics,
            overview,
            retention,
        )
        from console.push import outbox, own
        from console.work import heartbeat, tasks

        connection_created.connect(own_file.close_to_others)
        connection_created.connect(folding.provide)
        log_ins.connect()
        ports.rows_written.add(own.follow)
        api.add_router("", router)
        api.add_router("", logs_router)
        ports.machine_kinds.add("gateway", enrollment.GATEWAY)
        ports.machine_names.add("gateway", logs.gateway_name)
        ports.metrics.add(metrics.gateways)
        ports.jobs.add("forget old enrollment codes", Job(timedelta(hours=1), retention.forget_old_codes))
        ports.jobs.add("forget used signatures", Job(timedelta(minutes=1), retention.forget_old_calls))
        ports.jobs.add("forget old ends", Job(timedelta(minutes=10), config.forget_old_ends))
        ports.jobs.add("forget old batches", Job(timedelta(hours=1), retention.forget_old_batches))
        ports.jobs.add("verify the audit", Job(timedelta(seconds=1), check.nightly.turn))
        ports.jobs.add("keep the audit's head", Job(timedelta(minutes=1), check.nightly.minute))
        ports.jobs.add("forget old audit rows", Job(timedelta(hours=1), audit_retention.forget_old))
        ports.jobs.add("note failed log-ins", Job(timedelta(seconds=10), log_ins.tell))
        ports.jobs.add("forget expired log-ins", Job(timedelta(hours=1), sessions.forget_expired))
        ports.jobs.add("forget old links", Job(timedelta(hours=1), password_links.forget_old))
        ports.jobs.add("forget answers to forms", Job(timedelta(minutes=1), once.forget_old))
        ports.jobs.add("forget old tasks", Job(timedelta(hours=1), tasks.forget_old))
        ports.jobs.add("let archives of logs go", Job(timedelta(seconds=10), logs.exports_age))
        ports.jobs.add("upgrade gateways", Job(timedelta(seconds=1), gateway_upgrades.GATEWAYS.advance))
        ports.jobs.add("show that the worker lives", Job(heartbeat.EVERY, heartbeat.beat, urgent=True))
        ports.jobs.add("send messages", Job(timedelta(seconds=1), outbox.sender.turn, urgent=True))
        ports.jobs.add("forget old messages", Job(timedelta(hours=1), outbox.forget_old))
        ports.cards.add(overview.cards)
        ports.places.update(gateway="gateways:list", pushchannel="push:list", task="tasks:detail")
        ports.places.update(user="users:edit", accesskey="access_keys:list")
        ports.navigation.add("overview", Entry(ports.OVERVIEW, "Overview", 0))
        ports.navigation.add("gateways:list", Entry(ports.OPERATIONS, "Gateways", 10))
        ports.navigation.add("tasks:list", Entry(ports.OPERATIONS, "Tasks", 15))
        ports.navigation.add("audit:list", Entry(ports.OPERATIONS, "Audit", 20))
        ports.navigation.add("push:list", Entry(ports.SETTINGS, "Message push", 10))
        ports.navigation.add("users:list", Entry(ports.SETTINGS, "Users", 20, role="administrator"))
        ports.navigation.add("access_keys:list", Entry(ports.SETTINGS, "Access keys", 30))
        ports.navigation.add("log_ins", Entry(ports.SETTINGS, "Log-in history", 40))
        ports.navigation.add("admin:index", Entry(ports.OPERATIONS, "Django admin", 90, role="administrator"))
