"""Pages of alerts, of silences and of what is watched."""
