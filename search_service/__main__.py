"""``python -m search_service``: the command line, where the script is not on the path."""

from search_service.cli.commands import main

main()
