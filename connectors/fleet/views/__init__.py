"""Pages of connectors, servers, upgrades and the license."""
