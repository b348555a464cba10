"""URLs of the audit and of lock-outs of the console's users."""

from django.urls import include, path

from console.auditing import lock_outs, views

audit_urls = [
    path("", views.audit_list, name="list"),
    path("audit.csv", views.audit_csv, name="csv"),
    path("audit.json", views.audit_json, name="json"),
]
urlpatterns = [
    path("audit/", include((audit_urls, "audit"))),
    path("lock-outs/<int:attempt_id>/lift/", lock_outs.lift, name="user_lock_out_lift"),
]
