"""The command ``causeway`` of gateways, connector servers and users' machines."""
