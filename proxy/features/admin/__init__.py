"""What operators administer, and what accounts see of themselves: accounts, keys, money, usage."""
