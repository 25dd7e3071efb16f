"""The HTTP API, the page's files and the probes.

```
/api/v1 ──▶ api ──▶ query (the parameters)
             └────▶ openapi (the description of all paths)
/       ──▶ page_files ──▶ ../static
/health, /ready ──▶ health_routes
```
"""
