"""`voxgate doctor`: the reasons why this machine cannot serve, and the remedies. It starts nothing."""
