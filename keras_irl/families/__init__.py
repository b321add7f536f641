"""What the families of keras-hub do each in their own way."""
