"""Tables that every feature uses: people, audit, the configuration's version, areas."""
