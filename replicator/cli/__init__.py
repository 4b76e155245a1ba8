"""The terminal face: one click command per noun, loaded only when it is called.

Owns the words typed at a shell, what is printed, where (data on stdout, all else on stderr) and the exit
status. Never decides anything about clusters itself: each verb calls the rooms below and shows what they
answer. `main` is the table of verbs, `context` what every verb receives, `output` the one way to print data,
`exits` the one place where errors become text and a status.
"""

__all__: list[str] = []
