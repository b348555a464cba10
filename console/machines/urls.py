from django.urls import include, path

from console.machines.views import deploy, gateways, logs, upgrades

gateway_urls = [
    path("", gateways.gateway_list, name="list"),
    path("add/", gateways.gateway_add, name="add"),
    path("upgrades/<str:area_id>/", upgrades.upgrade, name="upgrade"),
    path("upgrades/<str:area_id>/state/", upgrades.upgrade_state, name="upgrade_state"),
    path("upgrades/<str:area_id>/cancel/", upgrades.upgrade_cancel, name="upgrade_cancel"),
    path("<str:gateway_id>/deploy/", gateways.gateway_deploy, name="deploy"),
    path("<str:gateway_id>/revoke-code/", gateways.gateway_code_revoke, name="code_revoke"),
    path("<str:gateway_id>/confirm-delete/", gateways.gateway_confirm_delete, name="confirm_delete"),
    path("<str:gateway_id>/delete/", gateways.gateway_delete, name="delete"),
]

log_urls = [
    path("", logs.show, name="show"),
    path("state/", logs.state, name="state"),
    path("ask/", logs.ask, name="ask"),
    path("<str:export_id>.tar.gz", logs.download, name="download"),
]

deploy_urls = [
    path("connector.sh", deploy.script, {"kind": "connector"}, name="script"),
    path("gateway.sh", deploy.script, {"kind": "gateway"}, name="script"),
    path("<str:name>", deploy.wheel, name="wheel"),
]

trust_urls = [path("machines/ca.pem", deploy.ca, name="ca_pem")]

urlpatterns = [
    path("", include((trust_urls, "console"))),
    path("gateways/", include((gateway_urls, "gateways"))),
    path("machines/<str:machine_id>/logs/", include((log_urls, "logs"))),
    path("deploy/", include((deploy_urls, "deploy"))),
]
