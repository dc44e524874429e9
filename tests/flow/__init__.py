"""Tests of `proxy.flow`."""
