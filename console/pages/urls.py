from django.contrib.auth import views as auth
from django.urls import path

from console.core.access import public
from console.pages import changes, health, metrics, overview, password, shell, time_zone

urlpatterns = [
    path("", overview.home, name="overview"),
    path("healthz", health.healthz, name="healthz"),
    path("metrics", metrics.prometheus, name="metrics"),
    path("changes/", changes.changes, name="changes"),
    path("log-out/", public(auth.LogoutView.as_view()), name="logout"),
    path("password/", password.password_change, name="password_change"),
    # Before Django admin's own pages, which would change a password past the services.
    path("admin/password_change/", password.of_django_admin),
    path("admin/password_change/done/", password.of_django_admin),
    path("profile/time-zone/", time_zone.time_zone, name="time_zone"),
    path("area/", shell.area_select, name="area_select"),
    path("theme/", shell.theme_select, name="theme_select"),
]
