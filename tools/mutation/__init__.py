"""Would the tests notice? Small mistakes are put into a copy of the product, one at a time.

`python -m tools.mutation` (or `make mutate ARGS=...`) makes *mutants*: copies of the
source that differ from it by one edit, such as `<` for `<=`, an inner join for a left
one, or a condition dropped. Tests run against each; a mutant that no test fails on has
*survived*, and shows what no test holds.

- `sql_lexer`, `sql_mutants`: the product's statements, templates as they are.
- `python_mutants`: its Python, with the operators of mutmut and a few of our own.
- `workspace`: the copy that mutants are put into. Nobody's work tree is touched.
- `reach`: which test reaches which statement and function, and how long it takes.
- `worker`: a plugin for pytest that tries many mutants in one warm session.
- `results`: what came of them, kept in `build/mutation/`, and what is known to be equal.
"""
