"""Access of sessions to destinations: hosts, matching, the compiled configuration, the decision."""
