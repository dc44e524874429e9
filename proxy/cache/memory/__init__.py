"""Slices in memory: a process's own, and where several processes share them."""
