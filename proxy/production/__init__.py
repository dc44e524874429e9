"""What an operator asks of an installation: is it well, and is it fit for production."""
