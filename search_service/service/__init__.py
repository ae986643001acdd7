"""The service: a team submits studies from anywhere, and they run on the cluster.

    app.py          FastAPI app; the page to read first
    routes/         one file per resource
    documents.py    what goes over the wire
    access.py       tokens, roles, rates
    store/          studies, attempts, events, trials, datasets, tokens, leases in SQL (tables.py, migrations/)
    reconciler.py   starts, stops and restarts jobs until what is wanted and what is there agree
    jobs.py         where jobs run: processes of this machine, or (ray_jobs.py) jobs of a Ray cluster
    following.py    one study's events to many who follow

A study runs as this package's own command, ``search-service run --study ID``, and writes into its folder what happens
(event_journal.py). The reconciler reads that into the store; everything that is asked is answered from the store.
"""
