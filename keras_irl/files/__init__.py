"""Files and folders: paths that are checked, and writing as a whole."""
