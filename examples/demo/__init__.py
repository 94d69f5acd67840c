"""`python -m examples.demo`: start the fleet on loopback, take the tour, check every step."""
