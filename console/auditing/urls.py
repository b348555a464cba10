"""URLs of lock-outs of the console's users."""

from django.urls import path

from console.auditing import lock_outs

urlpatterns = [
    path("lock-outs/<int:attempt_id>/lift/", lock_outs.lift, name="user_lock_out_lift"),
]
