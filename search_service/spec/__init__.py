"""A config: its sections, its rules, and how a file becomes one."""
