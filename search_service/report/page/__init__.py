"""One page of a study: everything that it shows as one document, and the self-contained HTML file made of it."""
