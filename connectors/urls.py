"""SASE ▸ Private Access."""

from django.urls import include, path

from connectors.alerts.urls import alert_urls, rule_urls
from connectors.views import (
    access_check,
    application_files,
    applications,
    charts,
    connectors,
    deploy,
    details,
    groups,
    license,
    policies,
    servers,
    upgrades,
)

app_name = "connectors"

connector_list_urls = [
    path("", connectors.connector_list, name="list"),
    path("add/", connectors.connector_add, name="add"),
    path("license/", license.license_edit, name="license"),
]

connector_urls = [
    path("", details.connector_details, name="details"),
    path("traffic/", charts.connector_traffic, name="traffic"),
    path("chart/", charts.connector_chart, name="chart"),
    path("chart.csv", charts.connector_chart_csv, name="chart_csv"),
    path("menu/", connectors.connector_menu, name="menu"),
    path("enable/", connectors.connector_enable, name="enable"),
    path("confirm-disable/", connectors.connector_confirm_disable, name="confirm_disable"),
    path("disable/", connectors.connector_disable, name="disable"),
    path("cut/", connectors.connector_cut, name="cut"),
    path("rename/", connectors.connector_rename, name="rename"),
    path("confirm-delete/", connectors.connector_confirm_delete, name="confirm_delete"),
    path("delete/", connectors.connector_delete, name="delete"),
    path("state/", details.connector_state, name="state"),
    path("upgrade-window/", details.connector_upgrade_window, name="upgrade_window"),
    path("upgrade/", upgrades.upgrade, name="upgrade"),
    path("upgrade/state/", upgrades.upgrade_state, name="upgrade_state"),
    path("upgrade/cancel/", upgrades.upgrade_cancel, name="upgrade_cancel"),
    path("servers/", servers.connector_servers, name="servers"),
    path("servers-known/", servers.connector_servers_known, name="servers_known"),
    path("deploy/", deploy.connector_deploy, name="deploy"),
    path("revoke-code/", deploy.code_revoke, name="code_revoke"),
]

server_urls = [
    path("", servers.server_state, name="server_state"),
    path("enable/", servers.server_enable, name="server_enable"),
    path("confirm-disable/", servers.server_confirm_disable, name="server_confirm_disable"),
    path("disable/", servers.server_disable, name="server_disable"),
    path("drain/", servers.server_drain, name="server_drain"),
    path("confirm-remove/", servers.server_confirm_remove, name="server_confirm_remove"),
    path("remove/", servers.server_remove, name="server_remove"),
]

policy_list_urls = [
    path("", policies.policy_list, name="policies"),
    path("add/", policies.policy_add, name="policy_add"),
    path("pick/<str:kind>/", policies.pick, name="pick"),
]

policy_urls = [
    path("", policies.policy_edit, name="policy_edit"),
    path("priority/", policies.policy_priority, name="policy_priority"),
    path("enable/", policies.policy_enable, name="policy_enable"),
    path("confirm-disable/", policies.policy_confirm_disable, name="policy_confirm_disable"),
    path("disable/", policies.policy_disable, name="policy_disable"),
    path("confirm-delete/", policies.policy_confirm_delete, name="policy_confirm_delete"),
    path("delete/", policies.policy_delete, name="policy_delete"),
]

application_list_urls = [
    path("", applications.application_list, name="applications"),
    path("add/", applications.application_add, name="application_add"),
    path("export/", application_files.application_export, name="application_export"),
    path("import/", application_files.application_import, name="application_import"),
]

application_urls = [
    path("", applications.application_edit, name="application_edit"),
    path("enable/", applications.application_enable, name="application_enable"),
    path("confirm-disable/", applications.application_confirm_disable, name="application_confirm_disable"),
    path("disable/", applications.application_disable, name="application_disable"),
    path("confirm-delete/", applications.application_confirm_delete, name="application_confirm_delete"),
    path("delete/", applications.application_delete, name="application_delete"),
]

group_list_urls = [
    path("", groups.group_list, name="groups"),
    path("add/", groups.group_add, name="group_add"),
]

group_urls = [
    path("", groups.group_edit, name="group_edit"),
    path("confirm-delete/", groups.group_confirm_delete, name="group_confirm_delete"),
    path("delete/", groups.group_delete, name="group_delete"),
]

urlpatterns = [
    path("sase/connectors/", include(connector_list_urls)),
    path("sase/connectors/<str:connector_id>/", include(connector_urls)),
    path("sase/connectors/<str:connector_id>/servers/<str:server_id>/", include(server_urls)),
    path("sase/connectors/<str:connector_id>/alerts/", include(rule_urls)),
    path("alerts/settings/gateways/", include(rule_urls), {"connector_id": "gateways"}),
    path("alerts/", include(alert_urls)),
    path("sase/policies/", include(policy_list_urls)),
    path("sase/policies/<str:policy_id>/", include(policy_urls)),
    path("sase/applications/", include(application_list_urls)),
    path("sase/applications/<str:application_id>/", include(application_urls)),
    path("sase/groups/", include(group_list_urls)),
    path("sase/groups/<str:group_id>/", include(group_urls)),
    path("sase/access-check/", access_check.access_check, name="access_check"),
    path("sase/access-check/accounts/", access_check.access_check_accounts, name="access_check_accounts"),
    path("sase/servers/<str:server_id>/chart/", charts.server_chart, name="server_chart"),
    path("sase/servers/<str:server_id>/chart.csv", charts.server_chart_csv, name="server_chart_csv"),
    path("sase/servers/<str:server_id>/traffic/", charts.server_traffic, name="server_traffic"),
    path("sase/chart/", charts.all_chart, name="all_chart"),
    path("sase/chart.csv", charts.all_chart_csv, name="all_chart_csv"),
    path("sase/traffic/", charts.all_traffic, name="all_traffic"),
]
