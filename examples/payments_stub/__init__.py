"""A payment supplier with a fault dial."""
