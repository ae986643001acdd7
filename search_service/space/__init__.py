"""What is searched: ranges, sets of choices, and shapes of networks in them."""
