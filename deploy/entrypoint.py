#!/usr/bin/env python3
"""What the image starts with: refuse secrets that others may know, then become the command.

`deploy/stack.py` asks the same of `.env`, so that `make up` says it before anything is built.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

# Secrets in the environment of our containers, by name; a database's password stands in its address.
SECRETS = ("RAY_AUTH_TOKEN", "SEARCH_SERVICE_ADMIN_TOKEN")
ADDRESSES = ("SEARCH_SERVICE_DATABASE_URL", "MLFLOW_BACKEND_STORE_URI")
# Characters; the service asks the same of its admin token.
SHORTEST = 20
# What a password may consist of to stand in an address and in .env as it is.
PLAIN = re.compile(r"[A-Za-z0-9_-]*")
# Defaults of documentation, also drawn out to the length asked for.
KNOWN = re.compile(
    r"[-_\d]*((admin|change[-_]?me|default|example|mlflow|passw(or)?d|postgres|ray|root|search[-_]?service|secret|test|"
    r"token|your|here|x|qwerty(uiop)?|letmein)[-_\d]*)*",
    re.IGNORECASE,
)


def problem(secret: str) -> str | None:
    """What is wrong with a secret, or None; never the secret itself."""
    if not secret:
        return "is empty"
    if not PLAIN.fullmatch(secret):
        return "may hold letters, digits, - and _ only, since it stands in addresses"
    if KNOWN.fullmatch(secret) or len(set(secret)) < SHORTEST // 2:
        return "is one that others know or guess"
    if len(secret) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    return None


def problems(environment: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the secrets of an environment, by the variable's name."""
    found = {name: environment[name] for name in SECRETS if name in environment}
    found |= {name: urlsplit(environment[name]).password or "" for name in ADDRESSES if name in environment}
    return {name: wrong for name, secret in found.items() if (wrong := problem(secret))}


def main() -> None:
    """Refuse, or become the command."""
    wrong = problems(os.environ)
    for name, what in wrong.items():
        print(
            f"{name}: the secret {what}. Fix: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
            file=sys.stderr,
        )
    if wrong:
        sys.exit(2)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
