"""One physics each, built on ``simulations.base``."""
