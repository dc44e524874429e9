"""How much may be on its way at once: a budget of memory, and a bounded queue before it."""
