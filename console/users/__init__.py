"""Pages of people who use the console: users, own profile, log-in history, access keys, one-use links."""
