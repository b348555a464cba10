"""URLs of client accounts. Names belong to the namespace ``roaming``."""

from django.urls import path

from roaming.accounts.views import account_actions, accounts, roam

urlpatterns = [
    path("instances/<sag_id:instance_id>/accounts/", accounts.account_list, name="accounts"),
    path("instances/<sag_id:instance_id>/accounts/add/", accounts.account_add, name="account_add"),
    path("instances/<sag_id:instance_id>/accounts/roam/", roam.accounts_roam, name="accounts_roam"),
    path("accounts/<sag_id:account_id>/menu/", accounts.account_menu, name="account_menu"),
    path("accounts/<sag_id:account_id>/roam/", roam.account_roam, name="account_roam"),
    path("accounts/<sag_id:account_id>/edit/", accounts.account_edit, name="account_edit"),
    path(
        "accounts/<sag_id:account_id>/reset-password/",
        accounts.account_reset_password,
        name="account_reset_password",
    ),
    path(
        "accounts/<sag_id:account_id>/confirm-enable/",
        account_actions.account_confirm_enable,
        name="account_confirm_enable",
    ),
    path("accounts/<sag_id:account_id>/enable/", account_actions.account_enable, name="account_enable"),
    path(
        "accounts/<sag_id:account_id>/confirm-disable/",
        account_actions.account_confirm_disable,
        name="account_confirm_disable",
    ),
    path("accounts/<sag_id:account_id>/disable/", account_actions.account_disable, name="account_disable"),
    path(
        "accounts/<sag_id:account_id>/confirm-kick/",
        account_actions.account_confirm_kick,
        name="account_confirm_kick",
    ),
    path("accounts/<sag_id:account_id>/kick/", account_actions.account_kick, name="account_kick"),
    path(
        "accounts/<sag_id:account_id>/confirm-delete/",
        account_actions.account_confirm_delete,
        name="account_confirm_delete",
    ),
    path("accounts/<sag_id:account_id>/delete/", account_actions.account_delete, name="account_delete"),
]
