"""URLs of CCNs. Names belong to the namespace ``roaming``."""

from django.urls import include, path

from roaming.ccns import views

ccn_urls = [
    path("", views.ccn_detail, name="ccn"),
    path("confirm-delete/", views.ccn_confirm_delete, name="ccn_confirm_delete"),
    path("delete/", views.ccn_delete, name="ccn_delete"),
    path("networks/add/", views.network_add, name="network_add"),
    path(
        "networks/<int:network_id>/confirm-remove/",
        views.network_confirm_remove,
        name="network_confirm_remove",
    ),
    path("networks/<int:network_id>/remove/", views.network_remove, name="network_remove"),
]

urlpatterns = [
    path("ccns/", views.ccn_list, name="ccns"),
    path("ccns/add/", views.ccn_add, name="ccn_add"),
    path("ccns/<sag_id:ccn_id>/", include(ccn_urls)),
]
