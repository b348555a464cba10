"""Backup of the whole console in one encrypted file, and its way back onto this machine or another."""
