"""Published encoders in Hugging Face's layout, with a table for each family."""
