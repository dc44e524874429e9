"""Measurements, never run by the tests: figures depend on the machine. See docs/benchmarks.md."""
