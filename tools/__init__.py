"""Programs of the checkout: what ``make check`` runs. No part of the product."""
