"""Surfaces between phases: extraction, smoothing, and single surfaces for people."""
