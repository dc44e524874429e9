"""What is known of objects, and how their slices come: each is fetched once."""
