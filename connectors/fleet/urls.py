"""Addresses of connectors, their servers, upgrades and the license; part of the namespace ``connectors``."""

from django.urls import include, path

from connectors.fleet.views import connectors, deploy, details, license, servers, upgrades

connector_list_urls = [
    path("", connectors.connector_list, name="list"),
    path("add/", connectors.connector_add, name="add"),
    path("license/", license.license_edit, name="license"),
]

connector_urls = [
    path("", details.connector_details, name="details"),
    path("menu/", connectors.connector_menu, name="menu"),
    path("enable/", connectors.connector_switch, {"enabled": True}, name="enable"),
    path("confirm-disable/", connectors.connector_confirm_disable, name="confirm_disable"),
    path("disable/", connectors.connector_switch, {"enabled": False}, name="disable"),
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
    path("enable/", servers.server_switch, {"enabled": True}, name="server_enable"),
    path("confirm-disable/", servers.server_confirm_disable, name="server_confirm_disable"),
    path("disable/", servers.server_switch, {"enabled": False}, name="server_disable"),
    path("drain/", servers.server_drain, name="server_drain"),
    path("confirm-remove/", servers.server_confirm_remove, name="server_confirm_remove"),
    path("remove/", servers.server_remove, name="server_remove"),
]

urlpatterns = [
    path("sase/connectors/", include(connector_list_urls)),
    path("sase/connectors/<str:connector_id>/", include(connector_urls)),
    path("sase/connectors/<str:connector_id>/servers/<str:server_id>/", include(server_urls)),
]
