"""The command line: commands, what they print while a study runs, and what plan, inspect, replay and doctor say."""
