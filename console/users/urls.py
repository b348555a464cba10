"""URLs of users, own profile, log-in history, access keys and one-use links."""

from django.urls import include, path

from console.core.access import public
from console.users.views import factor, history, keys, links, log_in, log_in_again, openid, profile, users

user_urls = [
    path("", users.user_list, name="list"),
    path("add/", users.user_add, name="add"),
    path("<int:user_id>/edit/", users.user_edit, name="edit"),
    path("<int:user_id>/link/", users.user_link, name="link"),
    path("<int:user_id>/enable/", users.user_switch, {"enabled": True}, name="enable"),
    path("<int:user_id>/confirm-disable/", users.user_confirm, {"act": "disable"}, name="confirm_disable"),
    path("<int:user_id>/disable/", users.user_switch, {"enabled": False}, name="disable"),
    path("<int:user_id>/confirm-sign-out/", users.user_confirm, {"act": "sign out"}, name="confirm_sign_out"),
    path("<int:user_id>/sign-out/", users.user_sign_out, name="sign_out"),
    path(
        "<int:user_id>/confirm-reset-factor/",
        users.user_confirm,
        {"act": "reset"},
        name="confirm_reset_factor",
    ),
    path("<int:user_id>/reset-factor/", users.user_reset_factor, name="reset_factor"),
    path("<int:user_id>/confirm-delete/", users.user_confirm, {"act": "delete"}, name="confirm_delete"),
    path("<int:user_id>/delete/", users.user_delete, name="delete"),
]
key_urls = [
    path("", keys.key_list, name="list"),
    path("add/", keys.key_add, name="add"),
    path("<str:key_id>/enable/", keys.key_switch, {"enabled": True}, name="enable"),
    path("<str:key_id>/confirm-disable/", keys.key_confirm, {"act": "disable"}, name="confirm_disable"),
    path("<str:key_id>/disable/", keys.key_switch, {"enabled": False}, name="disable"),
    path("<str:key_id>/confirm-delete/", keys.key_confirm, {"act": "delete"}, name="confirm_delete"),
    path("<str:key_id>/delete/", keys.key_delete, name="delete"),
]
urlpatterns = [
    path("users/", include((user_urls, "users"))),
    path("access-keys/", include((key_urls, "access_keys"))),
    path("log-ins/", history.log_in_list, name="log_ins"),
    path("profile/", profile.profile, name="profile"),
    path("profile/sign-out/", profile.sign_out_elsewhere, name="sign_out_elsewhere"),
    path("profile/log-ins/<str:log_in_id>/end/", profile.log_in_end, name="log_in_end"),
    path("profile/messages/enable/", profile.messages_switch, {"enabled": True}, name="messages_on"),
    path("profile/messages/disable/", profile.messages_switch, {"enabled": False}, name="messages_off"),
    path("profile/second-factor/", factor.set_up, name="second_factor"),
    path("profile/second-factor/codes/", factor.recovery_codes, name="recovery_codes"),
    path("profile/second-factor/off/", factor.remove, name="second_factor_off"),
    path("log-in/", public(log_in.LogInView.as_view()), name="login"),
    path("session/", log_in_again.session, name="session"),
    path("log-in/code/", log_in.log_in_code, name="log_in_code"),
    path("log-in/openid/", openid.openid_begin, name="openid"),
    path("log-in/openid/back/", openid.openid_back, name="openid_back"),
    path("password-link/<str:token>/", links.password_link, name="password_link"),
]
