"""Tables of forwarding policies and user groups."""
