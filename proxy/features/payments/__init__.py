"""Payments: people buy months of a plan and packs of credits at a provider's checkout."""
