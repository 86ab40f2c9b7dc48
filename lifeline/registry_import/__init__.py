"""``lifeline registry …``: a city's devices as spreadsheets and GIS files.

file → `table.Table` (one reader a format) → `headers` → `parse` (cells by column) → `compose`
(entries as the registry's files have them, beside the present ones, with the cell of every key)
→ the loader of `rules.registry_file`, whose problems come back to their cells → `apply`.
"""
