"""The worker of RVC."""
