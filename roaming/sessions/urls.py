"""URLs of sessions. Names belong to the namespace ``roaming``."""

from django.urls import path

from roaming.sessions import views

urlpatterns = [
    path("instances/<sag_id:instance_id>/sessions/", views.session_list, name="sessions"),
    path("lock-outs/", views.lock_out_list, name="lock_outs"),
    path("lock-outs/<sag_id:lock_out_id>/lift/", views.lock_out_lift, name="lock_out_lift"),
    path(
        "sessions/<sag_id:session_id>/confirm-kick/",
        views.session_confirm_kick,
        name="session_confirm_kick",
    ),
    path("sessions/<sag_id:session_id>/kick/", views.session_kick, name="session_kick"),
]
