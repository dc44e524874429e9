"""Hypothesis profiles: a quick one for every run, and a long one for a hunt.

`HYPOTHESIS_PROFILE=long pytest tests/semantics` tries more than a hundred times as many
examples, which takes some minutes a file (more than pytest's own timeout: `-o timeout=600`).
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline: on a shared machine a slow example says nothing about the code.
_SLOW_MACHINE = [HealthCheck.too_slow]

settings.register_profile(
    "quick",
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=_SLOW_MACHINE,
)
settings.register_profile(
    "long",
    max_examples=10_000,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=_SLOW_MACHINE,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
