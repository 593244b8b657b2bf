"""What operators ask of /admin, and accounts of themselves: lists of accounts and keys, money, usage."""
