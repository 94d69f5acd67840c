"""Reference services built on `shared`, and the tour that checks them."""
