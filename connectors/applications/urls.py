"""Addresses of applications; part of the namespace ``connectors``."""

from django.urls import include, path

from connectors.applications.views import applications, files

application_list_urls = [
    path("", applications.application_list, name="applications"),
    path("add/", applications.application_add, name="application_add"),
    path("export/", applications.application_export, name="application_export"),
    path("import/", files.application_import, name="application_import"),
]

application_urls = [
    path("", applications.application_edit, name="application_edit"),
    path("enable/", applications.application_switch, {"enabled": True}, name="application_enable"),
    path("confirm-disable/", applications.application_confirm_disable, name="application_confirm_disable"),
    path("disable/", applications.application_switch, {"enabled": False}, name="application_disable"),
    path("confirm-delete/", applications.application_confirm_delete, name="application_confirm_delete"),
    path("delete/", applications.application_delete, name="application_delete"),
]

urlpatterns = [
    path("sase/applications/", include(application_list_urls)),
    path("sase/applications/<str:application_id>/", include(application_urls)),
]
