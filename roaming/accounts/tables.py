"""Table of client accounts: the list shows it, and export and roaming select accounts by its search and filters."""

from typing import Any

from console.kit import tables
from roaming.accounts import selectors


def _copies(account: Any) -> str:
    return " ".join(copy.instance_id for copy in account.copies.all())


TABLE = tables.Table(
    columns=(
        tables.Column("username", "User name", ("username_key",)),
        tables.Column("email", "E-mail", ("email_key",), width="m"),
        tables.Column("status", "Status", ("-enabled",)),
        tables.Column("ip", "Client IP", ("static_ip",)),
        tables.Column("bandwidth", "Bandwidth", ("bandwidth_kbps",), align="end"),
        tables.Column("online", "Online", align="end"),
        tables.Column("traffic", "This month", align="end"),
        tables.Column("roaming", "Roaming"),
        tables.Column("logon", "Last log-on", ("last_logon_at",)),
        tables.Column("actions", "Actions", width="m"),
    ),
    row_template="roaming/accounts/_row.html",
    find=selectors.accounts_matching,
    search_label="Search by user name or e-mail",
    filters=(
        tables.Filter(
            "enabled",
            "Status",
            (("1", "Enabled"), ("0", "Disabled")),
            lambda rows, value: rows.filter(enabled=value == "1"),
        ),
    ),
    default_sort="username",
    label="Client accounts",
    empty="This instance has no client account yet",
    empty_hint="Add one for every person who is to connect.",
    live_seconds=10,
    large=True,
    csv=(
        ("username", "username"),
        ("email", "email"),
        ("bandwidth_kbps", "bandwidth_kbps"),
        ("static_ip", "static_ip"),
        ("status", lambda account: "enabled" if account.enabled else "disabled"),
        ("traffic_this_month", lambda account: account.month_bytes or 0),
        ("roamed_from", "source.instance_id"),
        ("roamed_to", _copies),
        ("last_logon", "last_logon_at"),
        ("created", "created_at"),
    ),
)
