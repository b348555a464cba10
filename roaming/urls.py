"""The pages of Smart Access Gateway APP and CCN."""

from django.urls import URLPattern

app_name = "roaming"

urlpatterns: list[URLPattern] = []
