"""The pages of Smart Access Gateway APP and CCN."""

from django.urls import path, register_converter

from roaming.views import (
    account_actions,
    accounts,
    ccns,
    imports,
    instance_actions,
    instances,
    monitoring,
    roam,
    sessions,
)


class ProductId:
    """An id in the shape of ``console.ids``; anything else is no page."""

    regex = "[a-z]{1,20}-[0-9a-z]{1,40}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ProductId, "sag_id")

app_name = "roaming"

instance_urls = [
    path("instances/", instances.instance_list, name="instances"),
    path("instances/add/", instances.instance_add, name="instance_add"),
    path("instances/<sag_id:instance_id>/", instances.instance_detail, name="instance"),
    path("instances/<sag_id:instance_id>/network/", instances.instance_network, name="instance_network"),
    path("instances/<sag_id:instance_id>/edit/", instance_actions.instance_edit, name="instance_edit"),
    path(
        "instances/<sag_id:instance_id>/confirm-stop/",
        instance_actions.instance_confirm_stop,
        name="instance_confirm_stop",
    ),
    path("instances/<sag_id:instance_id>/stop/", instance_actions.instance_stop, name="instance_stop"),
    path(
        "instances/<sag_id:instance_id>/confirm-kick/",
        instance_actions.instance_confirm_kick,
        name="instance_confirm_kick",
    ),
    path("instances/<sag_id:instance_id>/kick/", instance_actions.instance_kick, name="instance_kick"),
    path(
        "instances/<sag_id:instance_id>/confirm-delete/",
        instance_actions.instance_confirm_delete,
        name="instance_confirm_delete",
    ),
    path("instances/<sag_id:instance_id>/delete/", instance_actions.instance_delete, name="instance_delete"),
    path("instances/<sag_id:instance_id>/start/", instance_actions.instance_start, name="instance_start"),
]

account_urls = [
    path("instances/<sag_id:instance_id>/accounts/", accounts.account_list, name="accounts"),
    path("instances/<sag_id:instance_id>/accounts/add/", accounts.account_add, name="account_add"),
    path("instances/<sag_id:instance_id>/accounts/roam/", roam.accounts_roam, name="accounts_roam"),
    path("accounts/<sag_id:account_id>/menu/", accounts.account_menu, name="account_menu"),
    path("accounts/<sag_id:account_id>/roam/", roam.account_roam, name="account_roam"),
    path("accounts/<sag_id:account_id>/edit/", accounts.account_edit, name="account_edit"),
    path(
        "accounts/<sag_id:account_id>/reset-password/",
        accounts.account_reset_password,
        name="account_reset_password",
    ),
    path(
        "accounts/<sag_id:account_id>/confirm-enable/",
        account_actions.account_confirm_enable,
        name="account_confirm_enable",
    ),
    path("accounts/<sag_id:account_id>/enable/", account_actions.account_enable, name="account_enable"),
    path(
        "accounts/<sag_id:account_id>/confirm-disable/",
        account_actions.account_confirm_disable,
        name="account_confirm_disable",
    ),
    path("accounts/<sag_id:account_id>/disable/", account_actions.account_disable, name="account_disable"),
    path(
        "accounts/<sag_id:account_id>/confirm-kick/",
        account_actions.account_confirm_kick,
        name="account_confirm_kick",
    ),
    path("accounts/<sag_id:account_id>/kick/", account_actions.account_kick, name="account_kick"),
    path(
        "accounts/<sag_id:account_id>/confirm-delete/",
        account_actions.account_confirm_delete,
        name="account_confirm_delete",
    ),
    path("accounts/<sag_id:account_id>/delete/", account_actions.account_delete, name="account_delete"),
]

import_urls = [
    path("instances/<sag_id:instance_id>/accounts/import/", imports.import_new, name="import_new"),
    path("instances/<sag_id:instance_id>/accounts/export/", imports.account_export, name="account_export"),
    path("imports/template/", imports.import_template, name="import_template"),
    path("imports/<sag_id:import_id>/", imports.import_preview, name="import"),
    path("imports/<sag_id:import_id>/wrong-lines/", imports.import_wrong_lines, name="import_wrong_lines"),
    path("imports/<sag_id:import_id>/start/", imports.import_start, name="import_start"),
    path("imports/<sag_id:import_id>/discard/", imports.import_discard, name="import_discard"),
]

monitoring_urls = [
    path(
        "instances/<sag_id:instance_id>/monitoring/",
        monitoring.instance_monitoring,
        name="instance_monitoring",
    ),
    path(
        "instances/<sag_id:instance_id>/monitoring/words/",
        monitoring.instance_monitoring_words,
        name="instance_monitoring_words",
    ),
    path(
        "instances/<sag_id:instance_id>/monitoring/<slug:what>.json",
        monitoring.instance_monitoring_chart,
        name="instance_monitoring_chart",
    ),
    path(
        "instances/<sag_id:instance_id>/monitoring.csv",
        monitoring.instance_monitoring_csv,
        name="instance_monitoring_csv",
    ),
    path(
        "accounts/<sag_id:account_id>/monitoring/", monitoring.account_monitoring, name="account_monitoring"
    ),
    path(
        "accounts/<sag_id:account_id>/monitoring/words/",
        monitoring.account_monitoring_words,
        name="account_monitoring_words",
    ),
    path(
        "accounts/<sag_id:account_id>/monitoring/<slug:what>.json",
        monitoring.account_monitoring_chart,
        name="account_monitoring_chart",
    ),
    path(
        "accounts/<sag_id:account_id>/monitoring.csv",
        monitoring.account_monitoring_csv,
        name="account_monitoring_csv",
    ),
]

session_urls = [
    path("instances/<sag_id:instance_id>/sessions/", sessions.session_list, name="sessions"),
    path(
        "sessions/<sag_id:session_id>/confirm-kick/",
        sessions.session_confirm_kick,
        name="session_confirm_kick",
    ),
    path("sessions/<sag_id:session_id>/kick/", sessions.session_kick, name="session_kick"),
]

ccn_urls = [
    path("ccns/", ccns.ccn_list, name="ccns"),
    path("ccns/add/", ccns.ccn_add, name="ccn_add"),
    path("ccns/<sag_id:ccn_id>/", ccns.ccn_detail, name="ccn"),
    path("ccns/<sag_id:ccn_id>/confirm-delete/", ccns.ccn_confirm_delete, name="ccn_confirm_delete"),
    path("ccns/<sag_id:ccn_id>/delete/", ccns.ccn_delete, name="ccn_delete"),
    path("ccns/<sag_id:ccn_id>/networks/add/", ccns.network_add, name="network_add"),
    path(
        "ccns/<sag_id:ccn_id>/networks/<int:network_id>/confirm-remove/",
        ccns.network_confirm_remove,
        name="network_confirm_remove",
    ),
    path(
        "ccns/<sag_id:ccn_id>/networks/<int:network_id>/remove/", ccns.network_remove, name="network_remove"
    ),
]

urlpatterns = [*instance_urls, *account_urls, *import_urls, *monitoring_urls, *session_urls, *ccn_urls]
