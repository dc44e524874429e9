"""The operator's door, on its own address: health first, more later."""
