"""The engines of providers: their keys, with pace and breaker, and engines that are late."""
