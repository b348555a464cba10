"""URLs of instances. Names belong to the namespace ``roaming``."""

from django.urls import include, path

from roaming.instances.views import instance_actions as actions
from roaming.instances.views import instances

instance_urls = [
    path("", instances.instance_detail, name="instance"),
    path("network/", instances.instance_network, name="instance_network"),
    path("edit/", actions.instance_edit, name="instance_edit"),
    path("start/", actions.instance_switch, {"started": True}, name="instance_start"),
    path("confirm-stop/", actions.instance_confirm_stop, name="instance_confirm_stop"),
    path("stop/", actions.instance_switch, {"started": False}, name="instance_stop"),
    path("confirm-kick/", actions.instance_confirm_kick, name="instance_confirm_kick"),
    path("kick/", actions.instance_kick, name="instance_kick"),
    path("confirm-delete/", actions.instance_confirm_delete, name="instance_confirm_delete"),
    path("delete/", actions.instance_delete, name="instance_delete"),
]

urlpatterns = [
    path("instances/", instances.instance_list, name="instances"),
    path("instances/add/", instances.instance_add, name="instance_add"),
    path("instances/<sag_id:instance_id>/", include(instance_urls)),
]
