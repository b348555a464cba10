"""Addresses of forwarding policies, user groups and the access check; part of the namespace ``connectors``."""

from django.urls import include, path

from connectors.policies.views import access_check, groups, policies

policy_list_urls = [
    path("", policies.policy_list, name="policies"),
    path("add/", policies.policy_add, name="policy_add"),
    path("pick/<str:kind>/", policies.pick, name="pick"),
]

policy_urls = [
    path("", policies.policy_edit, name="policy_edit"),
    path("priority/", policies.policy_priority, name="policy_priority"),
    path("enable/", policies.policy_switch, {"enabled": True}, name="policy_enable"),
    path("confirm-disable/", policies.policy_confirm_disable, name="policy_confirm_disable"),
    path("disable/", policies.policy_switch, {"enabled": False}, name="policy_disable"),
    path("confirm-delete/", policies.policy_confirm_delete, name="policy_confirm_delete"),
    path("delete/", policies.policy_delete, name="policy_delete"),
]

group_list_urls = [
    path("", groups.group_list, name="groups"),
    path("add/", groups.group_add, name="group_add"),
]

group_urls = [
    path("", groups.group_edit, name="group_edit"),
    path("confirm-delete/", groups.group_confirm_delete, name="group_confirm_delete"),
    path("delete/", groups.group_delete, name="group_delete"),
]

urlpatterns = [
    path("sase/policies/", include(policy_list_urls)),
    path("sase/policies/<str:policy_id>/", include(policy_urls)),
    path("sase/groups/", include(group_list_urls)),
    path("sase/groups/<str:group_id>/", include(group_urls)),
    path("sase/access-check/", access_check.access_check, name="access_check"),
    path("sase/access-check/accounts/", access_check.access_check_accounts, name="access_check_accounts"),
]
