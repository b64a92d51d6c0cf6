"""Organizations as their members see them."""
