"""The map: every page of the console. Each app brings its own list."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from console import views_errors, views_shell
from console.access import public
from console.edge_api import api
from console.views import audit, gateways, health, overview, password, tasks

handler400 = views_errors.bad_request
handler403 = views_errors.forbidden
handler404 = views_errors.not_found
handler500 = views_errors.server_error

session_urls = [
    path("log-in/", public(auth.LoginView.as_view()), name="login"),
    path("log-out/", public(auth.LogoutView.as_view()), name="logout"),
    path("password/", password.password_change, name="password_change"),
]

shell_urls = [
    path("area/", views_shell.area_select, name="area_select"),
    path("theme/", views_shell.theme_select, name="theme_select"),
]

gateway_urls = [
    path("", gateways.gateway_list, name="list"),
    path("add/", gateways.gateway_add, name="add"),
    path("<str:gateway_id>/deploy/", gateways.gateway_deploy, name="deploy"),
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

urlpatterns = [
    path("", overview.home, name="overview"),
    path("healthz", health.healthz, name="healthz"),
    *session_urls,
    *shell_urls,
    path("gateways/", include((gateway_urls, "gateways"))),
    path("tasks/", include((task_urls, "tasks"))),
    path("audit/", include(([path("", audit.audit_list, name="list")], "audit"))),
    path("sag/", include("roaming.urls")),
    path("", include("connectors.urls")),
    path("admin/", admin.site.urls),
    path("edge/v1/", api.urls),
]
