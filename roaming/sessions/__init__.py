"""User sessions: log-on, renewal, leases of client IPs, lock-out, the end."""
