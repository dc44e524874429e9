"""Load on the whole program: data, servers, a run with its folder, and what runs say together.

`just load NAME` is `run`; `just load-report` is `report`, `just load-compare` is `compare`. The
scenarios that k6 plays are in k6/. Figures depend on the machine: no test checks one.
"""
