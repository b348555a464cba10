"""The connector server: dials the gateways, ends the flows at the applications, reports to the console."""
