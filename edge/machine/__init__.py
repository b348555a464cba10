"""Parts that a gateway and a connector's server have in common: folder, enrollment, calls, upgrades, status."""
