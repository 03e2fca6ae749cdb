"""``edgeferry report``: what several runs found, as a page, Markdown or CSV."""
