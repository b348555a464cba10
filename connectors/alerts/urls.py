"""Alerts: their pages, and the Alert Setting tab. Part of the namespace ``connectors``."""

from django.urls import path

from connectors.alerts import setting_views, views

alert_urls = [
    path("", views.alert_list, name="alerts"),
    path("history/", views.alert_history, name="alert_history"),
    path("silences/", views.silence_list, name="alert_silences"),
    path("silences/<int:silence_id>/end/", views.silence_end, name="alert_silence_end"),
    path("settings/", views.alert_settings, name="alert_settings"),
    path("<str:alert_id>/acknowledge/", views.alert_acknowledge, name="alert_acknowledge"),
    path("<str:alert_id>/silence/", views.alert_silence, name="alert_silence"),
]

# Under a connector's id, or under the word «gateways»: those of all gateways.
rule_urls = [
    path("", setting_views.rule_list, name="alert_rules"),
    path("silence/", setting_views.connector_silence, name="alert_connector_silence"),
    path("<str:kind>/", setting_views.rule_edit, name="alert_rule"),
    path("<str:kind>/enable/", setting_views.rule_enable, name="alert_rule_enable"),
    path("<str:kind>/disable/", setting_views.rule_disable, name="alert_rule_disable"),
    path("<str:kind>/dry-run/", setting_views.dry_run_chart, name="alert_dry_run_chart"),
]
