"""Help for testing Singer plugins, ours and anybody's."""
