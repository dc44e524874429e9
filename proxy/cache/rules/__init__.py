"""What is pure in the cache: names, slices, check values, and what goes first."""
