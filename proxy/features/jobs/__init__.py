"""Jobs: speech that outlives its request. A long text is spoken in steps. Each step is a call of its own, and
it is charged when its sound is stored."""
