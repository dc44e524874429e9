"""Tests of the pure HTTP rules."""
