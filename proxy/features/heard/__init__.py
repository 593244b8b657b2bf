"""Speech is heard before it is sent, and said again if it is wrong."""
