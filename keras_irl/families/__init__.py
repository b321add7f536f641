"""Model families of keras-hub: what each does in its own way."""
