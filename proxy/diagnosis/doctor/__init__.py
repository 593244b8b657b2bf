"""`voxgate doctor`: the reasons why this machine cannot serve, and what to do. It starts nothing."""
