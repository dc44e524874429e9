"""A layer over origins that keeps objects as slices, for all workers of a machine.

    operations   what the operator may ask
    serving      the layer: objects given from slices, as an origin over an origin
    cache        what the cached origins of a process share
    filling      what is known of objects, and how their slices come: each is fetched once
    memory       slices in memory: a process's own, and where several processes share them
    upkeep       keeping the directory within its limits, and going through all of it
    disk         the directory: its files, who writes them, and who waits for them
    rules        what is pure: names, slices, check values, what goes first

Each knows only those below it.
"""
