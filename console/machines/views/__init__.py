"""Pages of gateways, their deployment and the logs of machines."""
