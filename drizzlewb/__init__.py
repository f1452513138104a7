"""Align, clean and drizzle Hubble images, watch every step, keep what reproduces it."""

__version__ = "0.1.0"
