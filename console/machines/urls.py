from django.urls import include, path

from console.machines.views import clones, deploy, gateways, logs, upgrades

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

clone_urls = [
    path("<int:copy_id>/confirm/", clones.confirm, name="confirm"),
    path("<int:copy_id>/enroll-anew/", clones.enroll_anew, name="enroll_anew"),
]

deploy_urls = [
    path("connector.sh", deploy.script, {"kind": "connector"}, name="script"),
    path("gateway.sh", deploy.script, {"kind": "gateway"}, name="script"),
    path("console-ca.pem", deploy.console_certificate, name="console_ca"),
    path("gateways-ca.pem", deploy.gateways_certificate, name="gateways_ca"),
    path("<str:name>", deploy.wheel, name="wheel"),
]

urlpatterns = [
    path("gateways/", include((gateway_urls, "gateways"))),
    path("machines/<str:machine_id>/logs/", include((log_urls, "logs"))),
    path("machines/<str:machine_id>/copies/", include((clone_urls, "clones"))),
    path("deploy/", include((deploy_urls, "deploy"))),
]
