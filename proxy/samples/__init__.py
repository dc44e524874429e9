"""The sample files that `headgate serve` makes for itself when it has nothing else to serve."""

from proxy.samples.writing import make

__all__ = ["make"]
