"""Ground of every service: roles, audit, the configuration's version, refusals, writes of rows."""
