"""A study on the disk: its folder, its journals, and room for both."""
