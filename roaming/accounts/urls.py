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
    path("accounts/<sag_id:account_id>/kick/", account_actions.account_kick, name="account_kick"),
    *(
        path(
            f"accounts/<sag_id:account_id>/{act}/",
            account_actions.account_act,
            {"act": act},
            name=f"account_{act}",
        )
        for act in account_actions.ACTS
    ),
    *(
        path(
            f"accounts/<sag_id:account_id>/confirm-{act}/",
            account_actions.account_confirm,
            {"act": act},
            name=f"account_confirm_{act}",
        )
        for act in ("kick", *account_actions.ACTS)
    ),
]
