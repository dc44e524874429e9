"""The checks of `headgate check --production`, each with what it must find and must let pass."""
