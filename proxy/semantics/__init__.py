"""HTTP's rules as pure functions and values: no I/O, no clock, no event loop, no framework."""
