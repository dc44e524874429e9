"""What operators see of a running Headgate."""
