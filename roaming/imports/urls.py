"""URLs of import and export. Names belong to the namespace ``roaming``."""

from django.urls import path

from roaming.imports import views

urlpatterns = [
    path("instances/<sag_id:instance_id>/accounts/import/", views.import_new, name="import_new"),
    path("instances/<sag_id:instance_id>/accounts/export/", views.account_export, name="account_export"),
    path("imports/template/", views.import_template, name="import_template"),
    path("imports/<sag_id:import_id>/", views.import_preview, name="import"),
    path("imports/<sag_id:import_id>/wrong-lines/", views.import_wrong_lines, name="import_wrong_lines"),
    path("imports/<sag_id:import_id>/start/", views.import_start, name="import_start"),
    path("imports/<sag_id:import_id>/discard/", views.import_discard, name="import_discard"),
]
