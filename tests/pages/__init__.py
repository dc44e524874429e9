"""Tests of `proxy.pages`."""
