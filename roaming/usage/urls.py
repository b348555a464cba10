"""URLs of the Monitoring tabs. Names belong to the namespace ``roaming``."""

from django.urls import path

from roaming.usage import views

urlpatterns = [
    path(f"{kind}s/<sag_id:{kind}_id>/monitoring{end}", view, {"kind": kind}, name=f"{kind}_monitoring{name}")
    for kind in ("instance", "account")
    for end, view, name in (
        ("/", views.tab, ""),
        ("/words/", views.words, "_words"),
        ("/<slug:what>.json", views.chart, "_chart"),
        (".csv", views.csv, "_csv"),
    )
]
