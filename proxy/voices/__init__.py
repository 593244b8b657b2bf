"""What people do with voices of their own: making, consent, clones at providers, and erasure."""
