"""URLs of the Monitoring tabs. Names belong to the namespace ``roaming``."""

from django.urls import path

from roaming.usage import views

urlpatterns = [
    path(
        "instances/<sag_id:instance_id>/monitoring/",
        views.instance_monitoring,
        name="instance_monitoring",
    ),
    path(
        "instances/<sag_id:instance_id>/monitoring/words/",
        views.instance_monitoring_words,
        name="instance_monitoring_words",
    ),
    path(
        "instances/<sag_id:instance_id>/monitoring/<slug:what>.json",
        views.instance_monitoring_chart,
        name="instance_monitoring_chart",
    ),
    path(
        "instances/<sag_id:instance_id>/monitoring.csv",
        views.instance_monitoring_csv,
        name="instance_monitoring_csv",
    ),
    path("accounts/<sag_id:account_id>/monitoring/", views.account_monitoring, name="account_monitoring"),
    path(
        "accounts/<sag_id:account_id>/monitoring/words/",
        views.account_monitoring_words,
        name="account_monitoring_words",
    ),
    path(
        "accounts/<sag_id:account_id>/monitoring/<slug:what>.json",
        views.account_monitoring_chart,
        name="account_monitoring_chart",
    ),
    path(
        "accounts/<sag_id:account_id>/monitoring.csv",
        views.account_monitoring_csv,
        name="account_monitoring_csv",
    ),
]
