"""Tables of connectors, servers, upgrades and the license."""
