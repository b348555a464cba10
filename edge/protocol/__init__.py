"""What the console and its machines say to one another, defined once for both sides."""
