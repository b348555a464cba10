"""Addresses of alerts, and of the Alert Setting tab; part of the namespace ``connectors``."""

from django.urls import include, path

from connectors.alerts.views import alerts, rules, silences

alert_urls = [
    path("", alerts.alert_list, name="alerts"),
    path("history/", alerts.alert_history, name="alert_history"),
    path("silences/", silences.silence_list, name="alert_silences"),
    path("silences/<int:silence_id>/end/", silences.silence_end, name="alert_silence_end"),
    path("settings/", alerts.alert_settings, name="alert_settings"),
    path("<str:alert_id>/acknowledge/", alerts.alert_acknowledge, name="alert_acknowledge"),
    path("<str:alert_id>/silence/", silences.alert_silence, name="alert_silence"),
]

# Stand under a connector's id, or under the word «gateways», which means all gateways.
rule_urls = [
    path("", rules.rule_list, name="alert_rules"),
    path("silence/", silences.connector_silence, name="alert_connector_silence"),
    path("<str:kind>/", rules.rule_edit, name="alert_rule"),
    path("<str:kind>/enable/", rules.rule_switch, {"enabled": True}, name="alert_rule_enable"),
    path("<str:kind>/disable/", rules.rule_switch, {"enabled": False}, name="alert_rule_disable"),
    path("<str:kind>/dry-run/", rules.dry_run_chart, name="alert_dry_run_chart"),
]

urlpatterns = [
    path("sase/connectors/<str:connector_id>/alerts/", include(rule_urls)),
    path("alerts/settings/gateways/", include(rule_urls), {"connector_id": rules.GATEWAYS}),
    path("alerts/", include(alert_urls)),
]
