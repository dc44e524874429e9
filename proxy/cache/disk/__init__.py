"""The directory of slices: its files, who writes them, and who waits for them."""
