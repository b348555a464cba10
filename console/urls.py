"""The map: every page of the console. Each app brings its own list."""

from django.contrib import admin
from django.urls import include, path

from console.edge_api import api

urlpatterns = [
    path("admin/", admin.site.urls),
    path("edge/v1/", api.urls),
]
