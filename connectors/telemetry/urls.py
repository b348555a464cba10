"""Addresses of charts, their words and their CSV files; part of the namespace ``connectors``."""

from django.urls import include, path

from connectors.telemetry import views

connector_urls = [
    path("traffic/", views.connector_traffic, name="traffic"),
    path("chart/", views.connector_chart, name="chart"),
    path("chart.csv", views.connector_chart_csv, name="chart_csv"),
]

urlpatterns = [
    path("sase/connectors/<str:connector_id>/", include(connector_urls)),
    path("sase/servers/<str:server_id>/chart/", views.server_chart, name="server_chart"),
    path("sase/servers/<str:server_id>/chart.csv", views.server_chart_csv, name="server_chart_csv"),
    path("sase/servers/<str:server_id>/traffic/", views.server_traffic, name="server_traffic"),
    path("sase/chart/", views.all_chart, name="all_chart"),
    path("sase/chart.csv", views.all_chart_csv, name="all_chart_csv"),
    path("sase/traffic/", views.all_traffic, name="all_traffic"),
]
