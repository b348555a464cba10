"""URLs of CCNs. Names belong to the namespace ``roaming``."""

from django.urls import path

from roaming.ccns import views

urlpatterns = [
    path("ccns/", views.ccn_list, name="ccns"),
    path("ccns/add/", views.ccn_add, name="ccn_add"),
    path("ccns/<sag_id:ccn_id>/", views.ccn_detail, name="ccn"),
    path("ccns/<sag_id:ccn_id>/confirm-delete/", views.ccn_confirm_delete, name="ccn_confirm_delete"),
    path("ccns/<sag_id:ccn_id>/delete/", views.ccn_delete, name="ccn_delete"),
    path("ccns/<sag_id:ccn_id>/networks/add/", views.network_add, name="network_add"),
    path(
        "ccns/<sag_id:ccn_id>/networks/<int:network_id>/confirm-remove/",
        views.network_confirm_remove,
        name="network_confirm_remove",
    ),
    path(
        "ccns/<sag_id:ccn_id>/networks/<int:network_id>/remove/", views.network_remove, name="network_remove"
    ),
]
