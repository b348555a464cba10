"""Which session may reach which destination: hosts, matching, the compiled configuration, the decision."""
