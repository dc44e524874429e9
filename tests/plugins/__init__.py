"""pytest plugins, loaded by name in the justfile."""
