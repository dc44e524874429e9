"""Where bytes come from: stores that open an object by key and read spans of it."""
