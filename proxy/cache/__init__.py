"""Slices of objects kept on disk, in a directory that several processes share."""
