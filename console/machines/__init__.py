"""Gateways, and the needs of every machine of Causeway: enrollment, certificates, logs, wheels."""
