"""The layer: objects given from slices, as an origin over an origin."""
