"""The map: every page of the console. Each app brings its own list."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from console.access import public
from console.edge_api import api
from console.views import (
    audit,
    deploy,
    errors,
    gateways,
    health,
    logs,
    metrics,
    overview,
    password,
    shell,
    tasks,
)

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error

session_urls = [
    path("log-in/", public(auth.LoginView.as_view()), name="login"),
    path("log-out/", public(auth.LogoutView.as_view()), name="logout"),
    path("password/", password.password_change, name="password_change"),
]

shell_urls = [
    path("area/", shell.area_select, name="area_select"),
    path("theme/", shell.theme_select, name="theme_select"),
]

gateway_urls = [
    path("", gateways.gateway_list, name="list"),
    path("add/", gateways.gateway_add, name="add"),
    path("<str:gateway_id>/deploy/", gateways.gateway_deploy, name="deploy"),
    path("<str:gateway_id>/revoke-code/", gateways.gateway_code_revoke, name="code_revoke"),
    path("<str:gateway_id>/confirm-delete/", gateways.gateway_confirm_delete, name="confirm_delete"),
    path("<str:gateway_id>/delete/", gateways.gateway_delete, name="delete"),
]

task_urls = [
    path("", tasks.task_list, name="list"),
    path("<str:task_id>/", tasks.task_detail, name="detail"),
    path("<str:task_id>/progress/", tasks.task_progress, name="progress"),
    path("<str:task_id>/results/", tasks.task_results, name="results"),
    path("<str:task_id>/secrets/offer/", tasks.task_secrets_offer, name="secrets_offer"),
    path("<str:task_id>/secrets/", tasks.task_secrets, name="secrets"),
    path("<str:task_id>/confirm-cancel/", tasks.task_confirm_cancel, name="confirm_cancel"),
    path("<str:task_id>/cancel/", tasks.task_cancel, name="cancel"),
]

deploy_urls = [
    path("connector.sh", deploy.script, {"kind": "connector"}, name="script"),
    path("gateway.sh", deploy.script, {"kind": "gateway"}, name="script"),
    path("<str:name>", deploy.wheel, name="wheel"),
]

log_urls = [
    path("", logs.show, name="show"),
    path("state/", logs.state, name="state"),
    path("ask/", logs.ask, name="ask"),
    path("<str:export_id>.tar.gz", logs.download, name="download"),
]

urlpatterns = [
    path("", overview.home, name="overview"),
    path("healthz", health.healthz, name="healthz"),
    path("metrics", metrics.prometheus, name="metrics"),
    *session_urls,
    *shell_urls,
    path("gateways/", include((gateway_urls, "gateways"))),
    path("machines/<str:machine_id>/logs/", include((log_urls, "logs"))),
    path("tasks/", include((task_urls, "tasks"))),
    path("deploy/", include((deploy_urls, "deploy"))),
    path("audit/", include(([path("", audit.audit_list, name="list")], "audit"))),
    path("settings/push/", include("console.push.urls")),
    path("sag/", include("roaming.urls")),
    path("", include("connectors.urls")),
    path("admin/", admin.site.urls),
    path("edge/v1/", api.urls),
]
