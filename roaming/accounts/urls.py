"""URLs of client accounts. Names belong to the namespace ``roaming``."""

from django.urls import include, path

from roaming.accounts.views import account_actions as actions
from roaming.accounts.views import accounts, roam

account_list_urls = [
    path("", accounts.account_list, name="accounts"),
    path("add/", accounts.account_add, name="account_add"),
    path("roam/", roam.accounts_roam, name="accounts_roam"),
]

account_urls = [
    path("menu/", accounts.account_menu, name="account_menu"),
    path("roam/", roam.account_roam, name="account_roam"),
    path("edit/", accounts.account_edit, name="account_edit"),
    path("reset-password/", accounts.account_reset_password, name="account_reset_password"),
    path("kick/", actions.account_kick, name="account_kick"),
    path("enable/", actions.account_act, {"act": "enable"}, name="account_enable"),
    path("disable/", actions.account_act, {"act": "disable"}, name="account_disable"),
    path("delete/", actions.account_act, {"act": "delete"}, name="account_delete"),
    path("confirm-kick/", actions.account_confirm, {"act": "kick"}, name="account_confirm_kick"),
    path("confirm-enable/", actions.account_confirm, {"act": "enable"}, name="account_confirm_enable"),
    path("confirm-disable/", actions.account_confirm, {"act": "disable"}, name="account_confirm_disable"),
    path("confirm-delete/", actions.account_confirm, {"act": "delete"}, name="account_confirm_delete"),
]

urlpatterns = [
    path("instances/<sag_id:instance_id>/accounts/", include(account_list_urls)),
    path("accounts/<sag_id:account_id>/", include(account_urls)),
]
