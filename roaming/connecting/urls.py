"""URLs of *How to connect*. Names belong to the namespace ``roaming``."""

from django.urls import path

from roaming.connecting import views

urlpatterns = [
    path("instances/<sag_id:instance_id>/connect/", views.instance_connect, name="instance_connect"),
    path("accounts/<sag_id:account_id>/connect/", views.account_connect, name="account_connect"),
]
