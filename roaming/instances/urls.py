"""URLs of instances. Names belong to the namespace ``roaming``."""

from django.urls import path

from roaming.instances.views import instance_actions, instances

urlpatterns = [
    path("instances/", instances.instance_list, name="instances"),
    path("instances/add/", instances.instance_add, name="instance_add"),
    path("instances/<sag_id:instance_id>/", instances.instance_detail, name="instance"),
    path("instances/<sag_id:instance_id>/network/", instances.instance_network, name="instance_network"),
    path("instances/<sag_id:instance_id>/edit/", instance_actions.instance_edit, name="instance_edit"),
    path(
        "instances/<sag_id:instance_id>/confirm-stop/",
        instance_actions.instance_confirm_stop,
        name="instance_confirm_stop",
    ),
    path(
        "instances/<sag_id:instance_id>/stop/",
        instance_actions.instance_switch,
        {"started": False},
        name="instance_stop",
    ),
    path(
        "instances/<sag_id:instance_id>/confirm-kick/",
        instance_actions.instance_confirm_kick,
        name="instance_confirm_kick",
    ),
    path("instances/<sag_id:instance_id>/kick/", instance_actions.instance_kick, name="instance_kick"),
    path(
        "instances/<sag_id:instance_id>/confirm-delete/",
        instance_actions.instance_confirm_delete,
        name="instance_confirm_delete",
    ),
    path("instances/<sag_id:instance_id>/delete/", instance_actions.instance_delete, name="instance_delete"),
    path(
        "instances/<sag_id:instance_id>/start/",
        instance_actions.instance_switch,
        {"started": True},
        name="instance_start",
    ),
]
