"""What runs on other machines than the console's: gateways, connector servers, clients. No Django here."""
