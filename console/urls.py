"""The map of the console: the URLs of every feature and every app come together here."""

from django.contrib import admin
from django.urls import include, path

from console.edge_api import api
from console.pages import errors

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error

urlpatterns = [
    path("", include("console.pages.urls")),
    path("", include("console.auditing.urls")),
    path("", include("console.users.urls")),
    path("", include("console.machines.urls")),
    path("tasks/", include("console.work.urls")),
    path("settings/push/", include("console.push.urls")),
    path("sag/", include("roaming.urls")),
    path("", include("connectors.urls")),
    path("admin/", admin.site.urls),
    path("edge/v1/", api.urls),
]
