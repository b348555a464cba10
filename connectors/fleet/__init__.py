"""Connectors and the servers that carry them: switches, codes, drains, upgrades, the license."""
