"""What the operator may ask of the cache."""
