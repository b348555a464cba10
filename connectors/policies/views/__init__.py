"""Pages of forwarding policies, user groups and the access check."""
