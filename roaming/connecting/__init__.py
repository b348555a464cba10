"""How to connect: gateways, CA, PAC and commands of an instance or an account, ready to copy."""
