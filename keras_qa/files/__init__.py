"""Files: rows of tables, downloads, what is replaced at once or not, sealed models."""
