"""Ours, the bare floor and the peers, side by side: ``python -m benchmarks``."""
