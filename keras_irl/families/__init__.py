"""Model families of keras-hub, a record of each."""
